"""A secret by which we say to somebody else who asks: from the environment, or from a file.

It never stands in the policy's text, and what is wrong with it is said without repeating it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from authz_middleware.tokens import key_sources
from authz_middleware.tokens.key_sources import ReadFile

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = ["B64TOKEN", "VSCHAR", "secret_text"]

B64TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""A bearer token (RFC 6750 §2.1)."""

VSCHAR: Final = re.compile(r"[\x20-\x7e]+")
"""Printable ASCII: a client's name and secret (RFC 6749 Appendix A.1 and A.2)."""


def secret_text(
    table: Section,
    name: str,
    grammar: re.Pattern[str],
    read_file: ReadFile,
    environ: Mapping[str, str],
) -> str:
    """The text of the secret called `name`; "" if it was reported."""
    sources = (f"{name}_env", f"{name}_file")
    present = [source for source in sources if source in table]
    if len(present) != 1:
        both = f"`{sources[1]}` beside `{sources[0]}`"
        table.error(
            sources[1] if present else None,
            both if present else "there is no secret to say who asks",
            f"write one of `{sources[0]}` and `{sources[1]}`",
        )
        return ""
    (source,) = present
    try:
        data = key_sources.secret(table, source, read_file, environ)
    except (OSError, ValueError) as error:
        key_sources.unreadable(table, source, error)
        return ""
    if data is None:
        return ""
    text = data.decode("latin-1")
    if not grammar.fullmatch(text):
        # Not repeated, and not described: it is a secret.
        what = f"what `{source}` leads to holds characters that it cannot have"
        table.error(source, what, "give it as the issuer gave it: printable ASCII")
        return ""
    return text
