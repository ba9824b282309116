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
    if handler is None:
        return name
    found = inspect.unwrap(handler) if callable(handler) else handler
    found = getattr(found, "view_class", found)  # Flask's and Django's views of classes
    named: Any = found if hasattr(found, "__qualname__") else found.__class__
    return f"{named.__module__}:{named.__qualname__}"
