"""What a scope or an environ tells of a request beside path, method and credentials.

Only the fields that the policy reads are taken, so that what is kept with a decision is no copy of
the request. Who is believed is the policy's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_middleware.facts import ContextReads, Surroundings

__all__ = ["from_environ", "from_scope"]

# PEP 3333 has these two without HTTP_, and allows them to be empty where there are none.
_PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def from_scope(scope: Mapping[str, Any], reads: ContextReads) -> Surroundings:
    """Return what an ASGI scope tells, as far as the policy `reads` it."""
    fields: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = name.decode("latin-1").lower()
        if reads.takes(text):
            before = f"{fields[text]}, " if text in fields else ""
            fields[text] = before + value.decode("latin-1")
    client = scope.get("client")
    return Surroundings(
        peer=client[0] if client else None,
        scheme=scope.get("scheme") or "http",
        fields=fields,
        query=(scope.get("query_string") or b"").decode("latin-1") if reads.query else "",
    )


def from_environ(environ: Mapping[str, Any], reads: ContextReads) -> Surroundings:
    """Return what a WSGI environ tells, as far as the policy `reads` it."""
    names = [name for name in reads.fields if name not in _PLAIN]
    fields = {name: environ[key] for name in names if (key := _key(name)) in environ}
    if reads.every_field:
        for key, value in environ.items():
            name = key[5:].replace("_", "-").lower()
            if key.startswith("HTTP_") and name not in _PLAIN and reads.takes(name):
                fields[name] = value
    for name, key in _PLAIN.items():
        if environ.get(key) and reads.takes(name):
            fields[name] = environ[key]
    return Surroundings(
        peer=environ.get("REMOTE_ADDR") or None,
        scheme=environ.get("wsgi.url_scheme") or "http",
        fields=fields,
        query=(environ.get("QUERY_STRING") or "") if reads.query else "",
    )


def _key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")
