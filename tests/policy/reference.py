"""The matcher said naively: try every template on every path, and keep the smallest rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product, zip_longest
from typing import assert_never

from authz_middleware.policy.converters import loose, strict
from authz_middleware.policy.segments import (
    AnyOf,
    DoubleStar,
    Exact,
    PathTail,
    Plain,
    Segment,
    Typed,
)
from authz_middleware.policy.template import Template


def split(path: str) -> list[str]:
    return [] if path == "/" else path[1:].split("/")


def takes(segment: Segment, text: str) -> bool | None:
    """Say whether a segment takes a text; None if only some framework's converter would."""
    match segment:
        case Exact(literal):
            return text == literal
        case AnyOf(values):
            return text in values
        case Typed(kind):
            return True if strict(kind, text) else None if loose(kind, text) else False
        case Plain() | PathTail() | DoubleStar():
            return True
        case _:
            assert_never(segment)


def matches(template: Template, path: str) -> bool | None:
    """Say whether a template matches; None if only with a doubtful segment."""
    found = verdicts(template, path)
    return False if False in found else None if None in found else True


def tie(one: Template, other: Template, path: str) -> bool:
    """Say whether both match, each segment being certain for at least one of them."""
    return all(
        True in pair and False not in pair
        for pair in zip_longest(verdicts(one, path), verdicts(other, path), fillvalue=True)
    )


def verdicts(template: Template, path: str) -> list[bool | None]:
    """Say of each segment of a template whether it takes that of the path."""
    texts = split(path)
    segments = template.segments
    if segments and isinstance(segments[-1], PathTail | DoubleStar):
        segments = segments[:-1]
        texts = texts[: len(segments)]
    if len(texts) != len(segments):
        return [False]
    return [takes(segment, text) for segment, text in zip(segments, texts, strict=True)]


def best(templates: Sequence[Template], path: str) -> Template | str | None:
    """Return the template that decides, None without one, "ambiguous" where it is not clear."""
    matching = [template for template in templates if matches(template, path) is not False]
    if not matching:
        return None
    rank = min(template.rank for template in matching)
    first = [template for template in matching if template.rank == rank]
    return first[0] if len(first) == 1 and matches(first[0], path) else "ambiguous"


def paths(alphabet: Sequence[str], depth: int) -> Iterator[str]:
    """Yield every path of at most `depth` segments over an alphabet."""
    for length in range(depth + 1):
        for texts in product(alphabet, repeat=length):
            yield "/" + "/".join(texts)
