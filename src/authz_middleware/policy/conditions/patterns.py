"""Regular expressions of `matches`: a plain part of RE2's syntax (CEL's), the same everywhere.

The evaluator's engine runs in linear time, but reads `\\d`, `\\w` and `\\s` as all of Unicode,
where RE2 and so CEL mean ASCII; they are written out for it. It compiles a pattern each time, so
that patterns are kept small.
"""

from __future__ import annotations

import re

from authz_middleware.policy.conditions.faults import Mistake

__all__ = ["MAX_PATTERN", "MAX_REPEAT", "translated"]

MAX_PATTERN = 200
"""Characters that a regular expression may have."""

MAX_REPEAT = 1000
"""What the counts of all `{m,n}` may multiply to: the engine writes out what is counted."""

_PIECE = re.compile(
    r"""
      (?P<escape>\\.)
    | (?P<group>\(\?:|\((?!\?))
    | (?P<special>\(\?)
    | (?P<class>\[\^?)
    | (?P<count>\{(?P<least>[0-9]{1,4})(?P<range>,(?P<most>[0-9]{0,4}))?\}\??)
    | (?P<other>[^\\])
    """,
    re.VERBOSE | re.DOTALL,
)
_ASCII = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_CONTROLS = "tnrfv"
_PUNCTUATION = frozenset(r"\.+*?()|[]{}^$-/#&~'\"@:;,!%=<>_ `")


def translated(pattern: str) -> str | Mistake:
    """The pattern for the evaluator, or what is wrong at which of its characters."""
    if len(pattern) > MAX_PATTERN:
        what = f"a regular expression is longer than {MAX_PATTERN} characters"
        return Mistake(0, what, "write several conditions")
    parts: list[str] = []
    at, in_class, repeated = 0, False, 1
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None:
            return Mistake(at, "a regular expression ends with a backslash", "write `\\\\`")
        text = piece[0]
        if piece["escape"]:
            escape = _escape(text[1], in_class)
            if escape is None:
                what = f"`{text}` is not supported in regular expressions{' here' * in_class}"
                return Mistake(at, what, "write the characters in `[…]`")
            parts.append(escape)
        elif in_class:
            # Nested classes and set operations are the engine's own; RE2 has none.
            if text[0] == "[" or pattern.startswith(("&&", "--", "~~"), at):
                return Mistake(
                    at, f"`{text[0]}` has to be escaped in `[…]`", "put a `\\` before it"
                )
            in_class = text != "]"
            parts.append(text[0])
            at += 1
            continue
        elif piece["class"]:
            in_class = True
            parts.append(text)
        elif piece["special"]:
            what = "of the groups only `(…)` and `(?:…)` are supported in regular expressions"
            return Mistake(at, what, "write `(?:…)`")
        elif piece["count"]:
            repeated *= max(1, int(piece["most"] or piece["least"]))
            if repeated > MAX_REPEAT:
                what = f"the counts of a regular expression multiply to more than {MAX_REPEAT}"
                return Mistake(at, what, "write `*` or `+`, and compare `size`")
            parts.append(text)
        else:
            parts.append(text)
        at = piece.end()
    return "".join(parts)


def _escape(character: str, in_class: bool) -> str | None:
    if (written := _ASCII.get(character)) is not None:
        return written if in_class else f"[{written}]"
    if (written := _ASCII.get(character.lower())) is not None and not in_class:
        return f"[^{written}]"
    if character == "b" and not in_class:
        return r"(?-u:\b)"
    if character in _CONTROLS:
        return f"\\{character}"
    if character in _PUNCTUATION:
        return "\\" + character if character not in "_ `'\"@:;,!%=<>/" else re.escape(character)
    return None
