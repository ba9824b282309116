"""How long a fetched document says that it is good for (RFC 9111 §4.2, §5.1, §5.2).

Only what matters to a private cache: `max-age`, `no-cache`, `no-store`, and the `Age` that a cache
in between has added. The bounds within which this is honoured are `tokens.freshness`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["age", "lifetime"]

_LONGEST: Final = 2**31  # RFC 9111 §1.2.2: what a larger number counts as
_DIGITS: Final = len(str(_LONGEST))


def lifetime(cache_control: str) -> float | None:
    """Return the seconds that a document may be used for, or None if it does not say.

    Of several values the smallest counts, and one that is no number is 0 (RFC 9111 §4.2.1: the
    most restrictive is honoured, what is invalid is stale).
    """
    found: list[float] = []
    for directive in cache_control.split(","):
        name, _, value = directive.partition("=")
        match name.strip().lower():
            # RFC 9111 §5.2.2.4-5; also with the names of fields, none of which we keep.
            case "no-cache" | "no-store":
                found.append(0)
            case "max-age":
                found.append(_seconds(value.strip().strip('"')) or 0)
            case _:
                pass
    return min(found, default=None)


def age(field: str) -> float:
    """Return the seconds for which caches may have held the document; 0 if it is no copy."""
    # RFC 9111 §5.1: the first member counts, an invalid field is ignored, fractions are cut off.
    said = _seconds(field.partition(",")[0].strip())
    return 0 if said is None else said + 1


def _seconds(text: str) -> float | None:
    """Return delta-seconds (RFC 9111 §1.2.2), or None."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return float(_LONGEST if len(digits) > _DIGITS else min(int(digits or "0"), _LONGEST))
