"""What is known of an app's routes: one value per entry of its own route table."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeAlias

from authz_middleware.policy.segments import Segment
from authz_middleware.policy.template import Template

__all__ = ["NO_ROUTE", "UNSEEN", "Resolved", "Route", "RouteKind", "Taken"]

RouteKind: TypeAlias = Literal["handler", "static", "redirect", "opaque"]
"""What stands at the end of a route; "opaque" is an app, or a part of one, that cannot be seen."""

Taken: TypeAlias = Hashable
"""What names a route while the app runs; two routes of one app never share it."""


class Resolved(Enum):
    """What `resolve` returns where it is not a route."""

    NO_ROUTE = "none"
    UNSEEN = "cannot see"


NO_ROUTE: Final = Resolved.NO_ROUTE
UNSEEN: Final = Resolved.UNSEEN


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of an app's route table, with what it is mounted under.

    `text` is its path as the framework writes it; `segments` what paths it takes, in our words, and
    never fewer than it does: a part of a segment counts as the whole, an unknown converter as any
    number of segments. A `PathTail` may stand before other segments.
    """

    taken: Taken
    text: str
    segments: tuple[Segment, ...]
    methods: frozenset[str] | None  # upper case, "WS" for WebSockets; None: whatever is asked
    endpoint: str  # where to look for what is run, as in `shop.views:article`
    kind: RouteKind = "handler"
    automatic: frozenset[str] = frozenset()  # of `methods`: what the framework answers itself
    host: str = ""  # the only host, or pattern of hosts, that it is for
    guarded_inside: bool = False  # whether a second look stands before its handler
    exact: bool = True  # whether it is known to take its texts in no other letter case

    def serves(self, method: str) -> bool:
        """Whether the route is a candidate for this method."""
        return self.methods is None or method in self.methods

    @property
    def template(self) -> Template:
        """Its path as a template of ours, for comparing."""
        return Template(self.text, self.segments)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All that is known of the routes of one wrapped app.

    `between` names what stands around the app and may answer, or change, requests unseen.
    """

    routes: tuple[Route, ...]
    between: tuple[str, ...] = field(default=())

    @property
    def exact(self) -> bool:
        """Whether all of the app is known to route by the letter; what cannot be seen is not."""
        return not self.between and all(
            route.exact and route.kind != "opaque" for route in self.routes
        )
