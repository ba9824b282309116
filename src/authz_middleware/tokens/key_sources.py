"""Where an issuer's keys come from, as its table in the policy says.

Static keys are read here, through functions that the caller passes in; fetched ones are only
described. RFC 8414 §2 and §6 (https), RFC 7517 §5, RFC 8725 §3.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from authz_middleware.document.environment import VARIABLE
from authz_middleware.tokens import certificates, strict_json
from authz_middleware.tokens.certificates import Certified
from authz_middleware.tokens.freshness import MIN_REFRESH, Limits
from authz_middleware.tokens.keys import (
    KeySet,
    KeysUnusable,
    from_jwks,
    from_pem,
    from_secret,
)
from authz_middleware.tokens.rejection import Rejected

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = [
    "SECRETS",
    "SOURCES",
    "Discovery",
    "JwksUri",
    "KeyCache",
    "KeyConfig",
    "ReadFile",
    "StaticKeys",
    "is_loopback",
    "named",
    "read",
    "secret",
    "secure_url",
    "unreadable",
    "url_problem",
]

SECRETS: Final = ("secret_env", "secret_file")
SOURCES: Final = ("jwks_uri", "jwks_file", "jwks", "public_key_file", *SECRETS)

ReadFile: TypeAlias = Callable[[str], bytes]
"""Returns the bytes of a file named in the policy; raises OSError if it cannot."""


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """Keys that the policy holds or points to; they do not change while it is served."""

    keys: KeySet = field(repr=False)
    # What they came in; of no use but for `authz check`.
    certificates: tuple[Certified, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class KeyCache:
    """How long fetched keys are kept, and the file that keeps the last good ones, if any."""

    limits: Limits = field(default_factory=Limits)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class JwksUri:
    """A key set at a URL."""

    issuer: str
    url: str
    cache: KeyCache = field(default_factory=KeyCache)


@dataclass(frozen=True, slots=True)
class Discovery:
    """A key set that the issuer's metadata names (RFC 8414, OpenID Connect Discovery)."""

    issuer: str
    cache: KeyCache = field(default_factory=KeyCache)


KeyConfig: TypeAlias = StaticKeys | JwksUri | Discovery


def named(section: Section) -> str | None:
    """The key of the table that names the source; None means discovery. Two are reported."""
    present = [name for name in SOURCES if name in section]
    for name in present[1:]:
        section.error(
            name,
            f"`{name}` beside `{present[0]}`: an issuer has one source of keys",
            "leave one of them out",
        )
    return present[0] if present else None


def read(
    section: Section,
    name: str | None,
    issuer: str,
    *,
    read_file: ReadFile,
    environ: Mapping[str, str],
) -> KeyConfig | None:
    """The source called `name` in the table, or None if it was reported as unusable."""
    if name is None or name == "jwks_uri":
        cache = _cache(section)
        return (
            _discovery(section, issuer, cache)
            if name is None
            else _jwks_uri(section, issuer, cache)
        )
    if "jwks_cache" in section:
        section.error("jwks_cache", f"the keys of `{name}` are not fetched", "leave it out")
    try:
        return _static(section, name, read_file, environ)
    except KeysUnusable as unusable:
        section.error(name, f"`{name}` {unusable.reason}", _FIXES[name])
    except Rejected as rejected:
        section.error(name, f"`{name}` is not strict JSON ({rejected.detail})", _FIXES[name])
    except (OSError, ValueError) as error:
        unreadable(section, name, error)
    return None


_SECRET_FIX = (
    "use 32 random bytes or more: `python -c 'import secrets; print(secrets.token_urlsafe(48))'`"
)
_FIXES: Final = {
    "jwks_file": 'give a JSON file with {"keys": [...]} of public signature keys',
    "jwks": "give a table with `keys`, a list of public signature keys",
    "public_key_file": "give a PEM file with one public key or certificate",
    "secret_env": _SECRET_FIX,
    "secret_file": _SECRET_FIX,
}


def _static(
    section: Section, name: str, read_file: ReadFile, environ: Mapping[str, str]
) -> StaticKeys | None:
    if name == "jwks":
        table = section.table(name)
        return None if table is None else _of_jwks(table.mapping)
    value = section.text(name)
    if value is None:  # of the wrong type: reported by the reader
        return None
    if name == "jwks_file":
        return _of_jwks(strict_json.loads(read_file(section.beside(value))))
    if name == "public_key_file":
        data = read_file(section.beside(value))
        return StaticKeys(from_pem(data), certificates.of_pem(data))
    found = secret(section, name, read_file, environ)
    return None if found is None else StaticKeys(from_secret(found))


def _of_jwks(document: object) -> StaticKeys:
    return StaticKeys(from_jwks(document), certificates.of_jwks(document))


def unreadable(section: Section, name: str, error: OSError | ValueError) -> None:
    """Report a file that cannot be read; a ValueError is a NUL in its name."""
    reason = getattr(error, "strerror", None) or "not a file name"
    section.error(name, f"`{name}` cannot be read: {reason}", "check its path and permissions")


def secret(
    section: Section, name: str, read_file: ReadFile, environ: Mapping[str, str]
) -> bytes | None:
    """The secret in the file, or in the variable, that `name` names; None if it was reported.

    Raises OSError or ValueError if a file cannot be read.
    """
    value = section.text(name)
    if value is None:  # of the wrong type: reported by the reader
        return None
    if name.endswith("_file"):
        return _without_line_end(read_file(section.beside(value)))
    found = environ.get(value, "")
    if not VARIABLE.fullmatch(value) or (not found and value in environ.values()):
        # Not repeated: it may be the secret itself, written here, or put here by `${…}`.
        section.error(
            name,
            "this is not the name of an environment variable",
            "write the name of the variable that holds the secret, not the secret",
        )
        return None
    if not found:
        section.error(
            name,
            f"the environment variable {value} is not set, or empty",
            f"set {value} to the secret before the server starts",
        )
        return None
    # As the operating system gave it: Python decodes what is not UTF-8 to surrogates.
    return found.encode("utf-8", "surrogateescape")


def _without_line_end(data: bytes) -> bytes:
    """A text file ends in a line end that nobody meant; random bytes are left as they are."""
    text = data.removesuffix(b"\n").removesuffix(b"\r")
    return text if text.isascii() and text.decode("ascii").isprintable() else data


MAX_STALE: Final = 7 * 24 * 3600.0
"""Seconds. A key that was withdrawn because it was stolen must not live on for longer."""


def _cache(section: Section) -> KeyCache:
    """What `jwks_cache` says; a mistake is reported, and reads as the default."""
    table = section.table("jwks_cache")
    if table is None:
        return KeyCache()
    table.only(("max_age", "stale_limit", "file"))
    usual = Limits()
    max_age = table.number("max_age", usual.max_age, unit="seconds")
    stale_limit = table.number("stale_limit", max(usual.stale_limit, max_age), unit="seconds")
    if not MIN_REFRESH <= max_age <= MAX_STALE:
        table.error(
            "max_age",
            f"`max_age` must be from {MIN_REFRESH:.0f} to {MAX_STALE:.0f} seconds",
            "write one of these: a key that was withdrawn must not live on for longer",
        )
    elif not max_age <= stale_limit <= MAX_STALE:
        table.error(
            "stale_limit",
            f"`stale_limit` must be from `max_age` ({max_age:g}) to {MAX_STALE:.0f} seconds",
            "write one of these: for so long keys serve while the provider is out of reach",
        )
    file = table.text("file", example="keys/last-good.json")
    if file is not None and "\0" in file:
        table.error("file", "`file` is not a file name", "write it without the NUL")
    return KeyCache(Limits(max_age, stale_limit), file and table.beside(file))


def _jwks_uri(section: Section, issuer: str, cache: KeyCache) -> JwksUri | None:
    url = section.text("jwks_uri")
    if url is None:
        return None
    problem = url_problem(url)
    if problem:
        section.error("jwks_uri", f"`jwks_uri` {problem[0]}", problem[1])
        return None
    return JwksUri(issuer, url, cache)


def _discovery(section: Section, issuer: str, cache: KeyCache) -> Discovery | None:
    problem = url_problem(issuer)
    if problem:
        what, fix = problem
        section.error(
            "issuer",
            f"`issuer` {what}, and its keys are to be discovered there",
            f"{fix}, or name the keys: {', '.join(f'`{name}`' for name in SOURCES)}",
        )
        return None
    if "?" in issuer:  # RFC 8414 §2
        what = "`issuer` has a query, so its metadata has no address"
        fix = f"name the keys: {', '.join(f'`{name}`' for name in SOURCES)}"
        section.error("issuer", what, fix)
        return None
    return Discovery(issuer, cache)


def secure_url(url: str) -> bool:
    """Whether keys may be fetched from `url`: https, or http on this machine; nothing odd."""
    return url_problem(url) is None


def url_problem(url: str) -> tuple[str, str] | None:
    """What is wrong with a URL that keys are fetched from, and what to write instead."""
    # Characters that URL parsers drop or read differently are refused before one is asked.
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "holds characters that a URL cannot have", "write them percent-encoded"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port that is no number, half an IPv6 address
        return "is not a URL", "write `https://…`"
    if not host or parts.scheme not in ("http", "https"):
        return "is not an http URL with a host", "write `https://…`"
    if "@" in parts.netloc or "#" in url:
        return "holds a user name or a fragment", "write it without"
    # RFC 8414 §6.1: who can change the answer on its way chooses the keys.
    if parts.scheme == "http" and not is_loopback(host):
        return "is plain http to another machine", "use https"
    return None


def is_loopback(host: str) -> bool:
    """Whether `host`, as a URL names it, is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
