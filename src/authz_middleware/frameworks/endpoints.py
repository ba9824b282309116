"""Where to look for what a route runs."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

__all__ = ["where"]


def where(handler: Any, name: str = "") -> str:
    """Return `module:qualified.name` of a handler, a class or an object; `name` if it has none."""
    while isinstance(handler, partial):
        handler = handler.func
    handler = inspect.unwrap(handler) if callable(handler) else handler
    if handler is None:
        return name
    if not hasattr(handler, "__qualname__"):
        handler = type(handler)
    return f"{handler.__module__}:{handler.__qualname__}"
