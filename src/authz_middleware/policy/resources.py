"""Objects that rules ask about: which loader is asked for which, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from authz_middleware.policy.parameters import Params

__all__ = [
    "HANDED_OVER",
    "NOT_ASKED",
    "NO_RESOURCES",
    "Loaded",
    "Object",
    "Resources",
    "Unloaded",
    "Wanted",
    "object_of",
]


class Unloaded(Enum):
    """Why there are no attributes."""

    NOT_ASKED = "not asked"
    MISSING = "no such object"
    FAILED = "the loader failed"
    NO_PARAMETERS = "the path does not tell which"
    NOT_HANDED = "no object was handed over"


NOT_ASKED: Final = Unloaded.NOT_ASKED

Loaded: TypeAlias = Mapping[str, Any] | Unloaded
"""The attributes of an object, or why there are none."""


class Object(NamedTuple):
    """One object: by its loader, and the converted parameters of the path, sorted by name."""

    loader: str
    params: tuple[tuple[str, str | int | float], ...]


HANDED_OVER: Final = Object("", ())
"""The one that a handler asks about. It hands that over itself, whatever its path says."""


class Wanted(NamedTuple):
    """An object on which an outcome hangs, and for how many seconds it is waited for."""

    object: Object
    timeout: float


Resources: TypeAlias = Mapping[Object, Loaded]
"""What one request has loaded so far."""

NO_RESOURCES: Final[Resources] = {}


def object_of(loader: str, params: Params) -> Object:
    """Return what `loader` is asked for."""
    return Object(loader, tuple(sorted(params.items())))
