"""The value of `typ` and `cty`, compared as RFC 7515 §4.1.9-10 and RFC 8725bis §3.11 ask."""

from __future__ import annotations

__all__ = ["normalise"]

_PREFIX = "application/"


def normalise(value: str) -> str:
    """Return the short lower-case form: `application/at+JWT` and `at+jwt` are one type.

    Only ASCII letters are folded: a letter such as the Kelvin sign must not become a `k`.
    """
    if not value.isascii():
        return value
    lowered = value.lower()
    short = lowered.removeprefix(_PREFIX)
    # The prefix may be left out only if no other slash follows.
    return lowered if "/" in short else short
