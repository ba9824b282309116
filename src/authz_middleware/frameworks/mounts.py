"""Apps that are mounted in another: their routes as that sees them, and what comes late."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import replace
from typing import Any, cast

from authz_middleware.policy.routes import Route, Taken
from authz_middleware.policy.segments import Exact

__all__ = ["Mounts", "below", "named_below", "watch"]

Late = Callable[[str, Any], Any]
"""Makes of a prefix and the app that is mounted there one that is looked at as a whole."""


class Mounts(MutableMapping[str, Any]):
    """Stands before what a dispatcher has mounted: what is added later is looked at as a whole.

    Nobody has put a look inside of that, and no rule was laid against its routes.
    """

    def __init__(self, mounts: MutableMapping[str, Any], late: Late) -> None:
        self._mounts = mounts  # others may hold it, and add to it
        self._late = late
        self._known: dict[str, Any] = {}
        self.learn()

    def learn(self) -> None:
        """Take all that is mounted by now for what was there at the start."""
        self._known = dict(self._mounts)

    def __getitem__(self, prefix: str) -> Any:
        app = self._mounts[prefix]
        return app if self._known.get(prefix) is app else self._late(prefix, app)

    def __setitem__(self, prefix: str, app: Any) -> None:
        self._mounts[prefix] = app

    def __delitem__(self, prefix: str) -> None:
        del self._mounts[prefix]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mounts)

    def __len__(self) -> int:
        return len(self._mounts)


def watch(dispatcher: Any, late: Late) -> None:
    """Stand before what a dispatcher has mounted; what is there by now was there at the start."""
    if isinstance(dispatcher.mounts, Mounts):
        dispatcher.mounts.learn()
    else:
        dispatcher.mounts = Mounts(dispatcher.mounts, late)


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
