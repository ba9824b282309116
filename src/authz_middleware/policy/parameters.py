"""The parameters of a path: where a template has them, and what they are to a condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from authz_middleware.policy.canonical import fold, text_readings
from authz_middleware.policy.converters import strict
from authz_middleware.policy.segments import AnyOf, DoubleStar, Exact, PathTail, Segment, Typed
from authz_middleware.policy.template import Template

__all__ = ["Parameters", "Params", "kinds"]

Params = Mapping[str, str | int | float]
"""Parameters by name: `int` and `float` as numbers, everything else as text."""

_CONVERTERS: Mapping[str, Callable[[str], int | float]] = {"int": int, "float": float}


def kinds(template: Template) -> Mapping[str, str]:
    """Return the converter of each parameter by its name; "text" where it has none."""
    return {
        segment.name: segment.kind if isinstance(segment, Typed) else "text"
        for segment in template.segments
        if segment.name is not None
    }


class Parameters:
    """The parameters of one template, compiled once."""

    __slots__ = ("_segments", "_tail")

    def __init__(self, template: Template) -> None:
        *before, last = template.segments or (None,)
        tail = last if isinstance(last, (PathTail, DoubleStar)) else None
        self._segments: Final = tuple(before) if tail else template.segments
        self._tail: Final = tail

    def of(self, path: str) -> Params | None:
        """Return the parameters of a canonical path; None if it is no path of the template.

        Letter case and compatibility forms of literals are ignored: that the template is meant has
        been found out elsewhere. A typed parameter takes only what every framework would take.
        """
        texts = path[1:].split("/") if path != "/" else []
        count = len(self._segments)
        if len(texts) < count or (len(texts) > count and self._tail is None):
            return None
        params: dict[str, str | int | float] = {}
        for segment, text in zip(self._segments, texts, strict=False):
            if not _takes(segment, text):
                return None
            if segment.name is not None:
                convert = _CONVERTERS.get(segment.kind) if isinstance(segment, Typed) else None
                params[segment.name] = convert(text) if convert else text
        if self._tail is not None and self._tail.name is not None:
            params[self._tail.name] = "/".join(texts[count:])
        return params

    def of_request(
        self, paths: Iterable[str], at: Iterable[str] | None = None
    ) -> Sequence[Params | None]:
        """Return the parameters of a request's path, once for each way in which it may be read.

        If `paths` only stand for those `at` which it is asked, those of them count that are paths
        of the template. None: the parameters are not known.
        """
        if at is None:
            return self._read(paths) or (None,)
        return [params for params in self._read(at) if params is not None] or (None,)

    def _read(self, paths: Iterable[str]) -> list[Params | None]:
        """Return the parameters as each reader of these canonical paths may see them, once each.

        Somebody may normalise before routing (UAX #15), and then hands other texts to the handler.
        """
        found: list[Params | None] = []
        for path in paths:
            for text in (path, *text_readings(path)):
                params = self.of(text)
                if params not in found:
                    found.append(params)
        return found


def _takes(segment: Segment, text: str) -> bool:
    match segment:
        case Exact(wanted):
            return text == wanted or fold(text) == fold(wanted)
        case AnyOf(values):
            return text in values or fold(text) in map(fold, values)
        case Typed(kind):
            return strict(kind, text)
        case _:
            return True
