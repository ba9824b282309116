"""Django's patterns in our words: what a route, or a regular expression, takes segment by segment.

Never less than Django takes. What of a regular expression cannot be read here takes any path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.urls.converters import IntConverter, UUIDConverter

from authz_middleware.policy.converters import Kind
from authz_middleware.policy.segments import AnyOf, Exact, PathTail, Plain, Segment, Typed

__all__ = ["ANYTHING", "SLASH", "Piece", "of_regex", "of_route", "one_of", "segments"]

_KINDS: Mapping[type[Any], Kind] = {IntConverter: "int", UUIDConverter: "uuid"}


class Piece(NamedTuple):
    """A part of a path: `takes` is None for what may be empty, but never holds a slash."""

    text: str
    takes: Segment | None


SLASH: Final = Piece("/", None)
MAYBE_SLASH: Final = Piece("/?", None)
ANYTHING: Final = Piece("**", PathTail("**"))


def segments(pieces: Sequence[Piece]) -> tuple[Segment, ...]:
    """Return the segments that the pieces make up; slashes at the ends, and doubled, are none."""
    listed = [*pieces]
    while listed and listed[-1] in (SLASH, MAYBE_SLASH):
        listed.pop()
    found: list[Segment] = []
    group: list[Piece] = []
    for piece in (*listed, SLASH):
        if piece != SLASH:
            group.append(ANYTHING if piece == MAYBE_SLASH else piece)
        elif group:
            found.append(_segment(group))
            group = []
    return tuple(found)


def _segment(group: list[Piece]) -> Segment:
    text = "".join(piece.text for piece in group)
    if all(isinstance(piece.takes, Exact) for piece in group):
        return Exact(text)
    # An empty segment is none: what follows may stand in its place.
    if any(isinstance(piece.takes, PathTail) for piece in group) or not any(
        piece.takes for piece in group
    ):
        return PathTail(text)
    return (len(group) == 1 and group[0].takes) or Plain(text)


def one_of(values: Sequence[str], name: str) -> Piece:
    """Return a piece that is one of `values`, none of which is empty or holds a slash."""
    return Piece(f"<{name}>", AnyOf(tuple(dict.fromkeys(values)), name))


# --- path() ---

# As Django itself reads them.
_parameter = re.compile(r"<(?:[^>:]+:)?(?P<name>[^>]+)>")


def of_route(route: str, converters: Mapping[str, Any], *, is_open: bool) -> list[Piece]:
    """Return what a route of `path()` takes; `is_open` is whether more may follow, of any kind."""
    pieces: list[Piece] = []
    end = 0
    for match in _parameter.finditer(route):
        pieces.extend(_texts(route[end : match.start()]))
        pieces.append(_converted(match[0], converters.get(match["name"])))
        end = match.end()
    pieces.extend(_texts(route[end:]))
    return [*pieces, ANYTHING] if is_open else pieces


def _texts(text: str) -> Iterator[Piece]:
    for part in re.split("(/)", text):
        if part:
            yield SLASH if part == "/" else Piece(part, Exact(part))


def _converted(text: str, converter: Any) -> Piece:
    kind = _KINDS.get(converter.__class__)
    if kind is not None:
        return Piece(text, Typed(kind, text))
    try:
        (piece,) = _read(f"(?:{converter.regex})")
    except (AttributeError, _UnreadableError):
        return Piece(text, PathTail(text))
    match piece.takes:
        case None | AnyOf():
            return Piece(text, piece.takes)
        case PathTail():
            return Piece(text, PathTail(text))
        case _:
            return Piece(text, Plain(text))


# --- re_path() ---


class _UnreadableError(Exception):
    """A regular expression that holds something not known here."""


_token = re.compile(
    r"(?P<open>\((?:\?:|\?P<\w+>|(?!\?)))"
    r"|(?P<close>\))"
    r"|(?P<bar>\|)"
    r"|(?P<many>(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})[?+]?)"
    r"|(?P<text>[^\\\[\](){}.*+?|^$]|\\[^a-zA-Z0-9])"
    r"|(?P<one>\.|\\[dDwWsS]|\[\^?\]?(?:\\.|[^\]\\])*\])",
    re.DOTALL,
)
_end = re.compile(r"(?<!\\)(?:\\\\)*(?P<anchor>\$|\\[Zz])\Z")


def of_regex(regex: str, *, is_endpoint: bool, is_last: bool) -> list[Piece]:
    """Return what a pattern of `re_path()` takes.

    Django searches for it, and what it leaves of the path is for the patterns that it includes; or
    for none, if it is the last. An endpoint that ends with `$` must match the whole path.
    """
    whole = is_endpoint and regex.endswith("$")
    body = regex.removeprefix("^").removeprefix(r"\A")
    begins = whole or body != regex
    end = _end.search(body)
    if end is not None:
        body = body[: end.start("anchor")]
    try:
        if re.compile(regex).flags != re.UNICODE.value:
            return [ANYTHING]
        pieces = _read(body)
    except (re.error, _UnreadableError):
        return [ANYTHING]
    ends = whole or not is_last or end is not None
    return [*([] if begins else [ANYTHING]), *pieces, *([] if ends else [ANYTHING])]


def _read(regex: str) -> list[Piece]:
    """Return the pieces that stand one behind the other, each with its repetition."""
    tokens = [*_tokens(regex)]
    pieces: list[Piece] = []
    while tokens:
        atom = _atom(tokens)
        many = bool(tokens) and tokens[0].lastgroup == "many"
        if many:
            atom.append(tokens.pop(0))
        pieces.append(_piece(atom, many=many))
    return pieces


def _tokens(regex: str) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(regex):
        token = _token.match(regex, place)
        if token is None:  # an anchor, a look around, a reference back, a flag, an escape
            raise _UnreadableError
        yield token
        place = token.end()


def _atom(tokens: list[re.Match[str]]) -> list[re.Match[str]]:
    """Take a character, or a group with all that is in it, off the tokens."""
    atom = [tokens.pop(0)]
    depth = int(atom[0].lastgroup == "open")
    if not depth and atom[0].lastgroup not in ("text", "one"):
        raise _UnreadableError
    while depth:
        if not tokens:
            raise _UnreadableError
        atom.append(tokens.pop(0))
        depth += {"open": 1, "close": -1}.get(atom[-1].lastgroup or "", 0)
    return atom


def _piece(atom: list[re.Match[str]], *, many: bool) -> Piece:
    text = "".join(token[0] for token in atom)
    if not many and atom[0].lastgroup == "text":
        return SLASH if text[-1] == "/" else Piece(text[-1], Exact(text[-1]))
    if text in ("/?", r"\/?"):
        return MAYBE_SLASH
    # Whether a single character may be a slash is best known to `re` itself.
    if any(
        token.lastgroup in ("text", "one") and re.fullmatch(token[0], "/", re.DOTALL)
        for token in atom
    ):
        return Piece(text, PathTail(text))
    if re.fullmatch(text, ""):
        return Piece(text, None)
    if not many and all(token.lastgroup in ("text", "bar") for token in atom[1:-1]):
        shown = "".join(token[0][-1] for token in atom[1:-1])
        values = shown.split("|") if all(token[0] != r"\|" for token in atom) else []
        if values and atom[0].lastgroup == "open":
            return Piece(text, AnyOf(tuple(dict.fromkeys(values)), text))
    return Piece(text, Plain(text))
