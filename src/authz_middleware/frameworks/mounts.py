"""Routes of an app that is mounted in another: named, and written, as the outer one sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from authz_middleware.policy.routes import Route, Taken
from authz_middleware.policy.segments import Exact

__all__ = ["below", "named_below"]


def below(mount: str, route: Route) -> Route:
    """Return `route` of an app that is mounted at the path `mount`."""
    prefix = tuple(map(Exact, filter(None, mount.split("/"))))
    return replace(
        route,
        taken=named_below(mount, route.taken),
        text=mount + route.text,
        segments=(*prefix, *route.segments),
    )


def named_below(mount: str, taken: Taken) -> Taken:
    """Return what names, behind `mount`, what is named by its own mount and its key."""
    place, within = cast("tuple[str, Taken]", taken)
    return mount + place, within
