"""Regular expressions in an app's routes: which segments of a path they take, in our words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from authz_middleware.policy.segments import AnyOf, Exact, PathTail, Plain, Segment, Typed

__all__ = ["Piece", "ignores_case", "segments_of", "taken_by"]

Piece = str | Segment
"""A text of a route, slashes and all, or what one of its variables takes when it stands alone."""

_digits = re.compile(r"(?:-\?)?(?:\\d|\[0-9\])(?:\+|\{[1-9][0-9]*(?:,[0-9]*)?\})?").fullmatch
_texts = re.compile(r"[\w-]+(?:\|[\w-]+)+", re.ASCII).fullmatch

# Made of nothing that can take a slash: letters, digits and a few others as they are, escapes of
# punctuation or of a class without a slash, sets of those (a range runs among digits or letters),
# sets that leave the slash out, and what groups and counts.
_without_slash = re.compile(
    r"""(?:
        [\w\-~@!,=:&%'" {}()|?*+<>]
      | \\[dwsb.\-_~+*?()\[\]{}|\\$^:@,]
      | \[ (?: [a-z]-[a-z] | [A-Z]-[A-Z] | [0-9]-[0-9] | \\[dws.\-_] | [\w.,~@!=:&%+] )+ -? \]
      | \[\^ [\w.]* / [\w.]* \]
    )+""",
    re.ASCII | re.VERBOSE,
).fullmatch


ignores_case = re.compile(r"\(\?[a-zA-Z]*i").search
"""Finds the flag in a regular expression, or in a rule that holds some."""


def taken_by(pattern: str, name: str) -> Segment:
    """Return what a variable takes that matches `pattern`."""
    if _digits(pattern):
        return Typed("int", name)
    if _texts(pattern):
        return AnyOf(tuple(sorted(pattern.split("|"))), name)
    # What may be nothing leaves the slash before it, and that is another path.
    plain = _without_slash(pattern) and "(?P=" not in pattern and not _may_be_empty(pattern)
    return Plain(name) if plain else PathTail(name)


def segments_of(pieces: Iterable[Piece]) -> Iterator[Segment]:
    """Yield the segments that `pieces` make up; a part of a segment counts as the whole."""
    part: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str):
            head, *tails = piece.split("/")
            part += [head] if head else []
            for tail in tails:
                yield from _segment(part)
                part = [tail] if tail else []
        else:
            part.append(piece)
    yield from _segment(part)


def _segment(part: list[Piece]) -> Iterator[Segment]:
    text = "".join(each if isinstance(each, str) else f"<{each.name}>" for each in part)
    if len(part) == 1 and not isinstance(part[0], str):
        yield part[0]
    elif any(isinstance(each, PathTail) for each in part):
        yield PathTail(text)
    elif any(not isinstance(each, str) for each in part):
        yield Plain(text)
    elif text:
        yield Exact(text)


def _may_be_empty(pattern: str) -> bool:
    try:
        return re.fullmatch(pattern, "") is not None
    except re.error:
        return True
