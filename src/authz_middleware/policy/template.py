"""Path templates: one parser for Werkzeug's spelling and for Starlette's and OpenAPI's.

    /articles/<int:id>    /articles/{id:int}    one segment that is a number
    /t/<tenant>/orders    /t/{tenant}/orders    any one segment
    /<any(en,de):lang>                          one of these segments
    /files/<path:rest>    /files/{rest:path}    this path and all below it, the rest by name
    /admin/**                                   this path and all below it

A parameter fills its whole segment. What looks like another pattern language is refused rather
than read as literal text: a rule that silently matches nothing leaves its paths to a looser one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from unicodedata import normalize
from urllib.parse import unquote

from authz_middleware.policy.canonical import canonical
from authz_middleware.policy.converters import KINDS
from authz_middleware.policy.segments import (
    AnyOf,
    DoubleStar,
    Exact,
    PathTail,
    Plain,
    Segment,
    Typed,
)

__all__ = [
    "MAX_SEGMENTS",
    "AnyOf",
    "DoubleStar",
    "Exact",
    "PathTail",
    "Plain",
    "Segment",
    "Template",
    "TemplateError",
    "Typed",
    "parse",
]

MAX_SEGMENTS = 100
"""The deepest template: the matcher recurses once a segment, and no real route comes near."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed path template.

    Two templates with one `shape` match the same paths; the same `names` too, and they are the
    same rule. Of two templates that match a path, the one with the smaller `rank` is the more
    specific: plain tuple comparison, segment by segment from the left.
    """

    text: str
    segments: tuple[Segment, ...]

    @property
    def shape(self) -> tuple[tuple[str, ...], ...]:
        """What is matched, without the parameters' names."""
        return tuple(segment.shape for segment in self.segments)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names from left to right."""
        return tuple(segment.name for segment in self.segments if segment.name is not None)

    @property
    def rank(self) -> tuple[int, ...]:
        """How specific it is; smaller is more specific."""
        return tuple(segment.rank for segment in self.segments)

    @property
    def route(self) -> str:
        """The template as OpenAPI writes it, without converters: `/articles/{id}`."""
        return "/" + "/".join(map(_plainly, self.segments))

    def __str__(self) -> str:
        return self.text


def _plainly(segment: Segment) -> str:
    if isinstance(segment, Exact):
        return segment.text
    return "**" if segment.name is None else f"{{{segment.name}}}"


class TemplateError(ValueError):
    """A template that cannot be read: `what` is wrong, `fix` is what to write."""

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what}; {fix}")


def parse(text: str) -> Template:
    """Read `text` as a template; raise `TemplateError` for everything that is not exactly one."""
    if text[:1] != "/":
        raise TemplateError("a path starts with `/`", f"write `/{text}`")
    pieces = _pieces(text)
    if len(pieces) > MAX_SEGMENTS:
        raise TemplateError(
            f"more than {MAX_SEGMENTS} segments",
            "end the path with `/**` further up",
        )
    segments: list[Segment] = []
    names: set[str] = set()
    openings: set[str] = set()
    for number, piece in enumerate(pieces, start=1):
        segment = _segment(piece)
        if piece[0] in _BRACKETS:
            openings.add(piece[0])
        if len(openings) > 1:
            raise TemplateError(
                "`<name>` and `{name}` in one path", "write all its parameters one way"
            )
        if segment.name is not None and segment.name in names:
            raise TemplateError(f"a second parameter `{segment.name}`", "give each its own name")
        if isinstance(segment, PathTail | DoubleStar) and number < len(pieces):
            raise TemplateError(
                f"`{piece}` stands only at the end", "write `<name>` for one segment"
            )
        if segment.name is not None:
            names.add(segment.name)
        segments.append(segment)
    return Template(text, tuple(segments))


def _pieces(text: str) -> list[str]:
    """Return each segment's text; `/items/` has the segments of `/items`."""
    pieces = text[1:].removesuffix("/").split("/") if text != "/" else []
    if "" in pieces:
        raise TemplateError("an empty segment", "write one `/` instead of `//`")
    return pieces


def _segment(piece: str) -> Segment:
    if piece == "**":
        return DoubleStar()
    if match := _parameter(piece):
        return _named(match["angle"] or match["brace"] or "", piece)
    if not _BRACKETS.keys().isdisjoint(piece) or not _closing.isdisjoint(piece):
        raise _bracket_error(piece)
    if match := _foreign(piece):
        raise TemplateError(
            f"`{match[0]}` in `{piece}` is another pattern language",
            "write `<name>` for any one segment, `<any(a,b):name>` for one of several texts, "
            "or `/**` at the end for all below",
        )
    _check_text(piece)
    return Exact(piece)


_BRACKETS: Mapping[str, str] = {"<": ">", "{": "}"}
_closing = frozenset(_BRACKETS.values())
_parameter = re.compile(r"<(?P<angle>[^<>{}]*)>|\{(?P<brace>[^<>{}]*)\}").fullmatch
# Globs, regular expressions, and the parameters of Express, Rails and Next. A literal `:`, `+`,
# `(` or `$` elsewhere is a plain character of paths (RFC 3986 §3.3).
_foreign = re.compile(r"[*^|\[\]]|^:(?=\w)|\$\Z").search


def _bracket_error(piece: str) -> TemplateError:
    """Tell a parameter beside other text from a bracket that is never closed."""
    if inner := re.search(r"<[A-Za-z_][^<>{}]*>|\{[A-Za-z_][^<>{}]*\}", piece):
        return TemplateError(
            f"`{piece}` is more than a parameter",
            f"write `{inner[0]}` alone: a parameter fills its whole segment",
        )
    return TemplateError(f"unbalanced brackets in `{piece}`", "write `<name>` or `{name}`")


_SAME: Mapping[str, str] = {kind: kind for kind in KINDS}
# What each spelling calls the converters, and what they are here.
_ANGLE: Mapping[str, str] = {"string": "plain", "path": "path", "any": "any", **_SAME}
_BRACE: Mapping[str, str] = {"str": "plain", "path": "path", **_SAME}
_angle = re.compile(r"(?:(?P<converter>[^:(]*)(?:\((?P<arguments>.*)\))?:)?(?P<name>[^:]*)")
_brace = re.compile(r"(?P<name>[^:]*)(?::(?P<converter>.*))?")


def _named(content: str, piece: str) -> Segment:
    angle = piece[0] == "<"
    match = (_angle if angle else _brace).fullmatch(content)
    if match is None:
        raise TemplateError(f"`{piece}` is no parameter", "write `<converter:name>`")
    parts = match.groupdict()
    name, converter, arguments = parts["name"], parts["converter"], parts.get("arguments")
    if converter is not None:
        known = _ANGLE if angle else _BRACE
        kind = known.get(converter)
        if kind is None:
            raise _unknown_converter(converter, name, known, angle)
    else:
        kind = "plain"
    if not name.isidentifier():
        raise TemplateError(
            f"`{name}` is no parameter name" if name else "a parameter without a name",
            "write letters, digits and `_`, not starting with a digit",
        )
    if kind == "any":
        return AnyOf(_values(arguments, name), name)
    if arguments is not None:
        raise TemplateError(
            f"`{converter}` takes no arguments in a policy",
            f"write `{_spell(converter or '', name, angle)}`: "
            "the rule then covers what the app narrows",
        )
    if kind == "plain":
        return Plain(name)
    if kind == "path":
        return PathTail(name)
    return Typed(next(known for known in KINDS if known == kind), name)


def _spell(converter: str, name: str, angle: bool) -> str:
    if converter in {"string", "str"}:
        return f"<{name}>" if angle else f"{{{name}}}"
    return f"<{converter}:{name}>" if angle else f"{{{name}:{converter}}}"


def _unknown_converter(
    converter: str, name: str, known: Mapping[str, str], angle: bool
) -> TemplateError:
    what = f"unknown converter `{converter}`"
    if name in known and converter.isidentifier():  # `<id:int>`, `{int:id}`: the other order
        return TemplateError(what, f"write `{_spell(name, converter, angle)}`")
    plain = _spell("str", name or "name", angle)
    if close := get_close_matches(converter, known, n=1):
        spelled = _spell(close[0], name or "name", angle)
        return TemplateError(what, f"write `{spelled}`, or `{plain}` for any segment")
    return TemplateError(what, f"write `{plain}`, which takes any segment")


def _values(arguments: str | None, name: str) -> tuple[str, ...]:
    if arguments is None or not arguments.strip():
        raise TemplateError("`any` without values", f"write `<any(a,b):{name}>`")
    values: list[str] = []
    for argument in arguments.split(","):
        value = argument.strip()
        if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
            value = value[1:-1]
        if value in values:
            raise TemplateError(f"`{value}` twice in `any`", "write it once")
        if not value:
            raise TemplateError("an empty value in `any`", "leave out the comma")
        _check_text(value)
        values.append(value)
    return tuple(values)


def _check_text(text: str) -> None:
    """Refuse a text that no request which is let through can hold as a segment."""
    if canonical("/" + text) != "/" + text:
        decoded = unquote(text)
        if decoded != text and "/" not in decoded and canonical("/" + decoded) == "/" + decoded:
            raise TemplateError(
                f"`{text}` is percent-encoded", f"write the decoded form `{decoded}`"
            )
        raise TemplateError(
            f"{text!a} can be read in two ways",
            "write a path without dot segments, escapes, `;`, `?`, `#`, `\\`, outer spaces "
            "and invisible characters: every other path is answered 400",
        )
    folded = normalize("NFKC", text)
    if folded != text:
        raise TemplateError(
            f"{text!a} is not in normal form",
            f"write `{folded}` ({folded!a}), as NFKC has it",
        )
