"""Ours and the prototype around the same bare app, in WSGI and ASGI: made, and seen to work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from benchmarks.calling import AsgiApp, Loop, asgi_status, bare_asgi, bare_wsgi, wsgi_status
from benchmarks.material import CLAIMS, Request, Signer, policy
from benchmarks.peers import PATH, ROLE, Wrong
from benchmarks.prototype import AsgiPrototype, ColdPrototype, Known, Prototype, WsgiPrototype

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Contenders", "asgi_around", "cold_prototype", "wsgi_around"]


def asgi_around(mapping: Mapping[str, Any]) -> AsgiApp:
    """Return our middleware under this policy, with no token in its cache."""
    return ASGIAuthzMiddleware(bare_asgi, Authz.from_mapping(mapping))


def wsgi_around(mapping: Mapping[str, Any]) -> WSGIApplication:
    """Return our middleware under this policy, with no token in its cache."""
    return WSGIAuthzMiddleware(bare_wsgi, Authz.from_mapping(mapping))


def cold_prototype(mapping: Mapping[str, Any], signer: Signer) -> AsgiPrototype:
    """Return the prototype under this policy, with no token in its cache."""
    inherited = {ROLE: frozenset({"viewer"})}
    return AsgiPrototype(bare_asgi, ColdPrototype(mapping["routes"], signer.key, inherited))


class Contenders:
    """The apps of one policy, and the request that they are measured with."""

    def __init__(self, signer: Signer, rules: int) -> None:
        self.mapping = policy([signer.issuer], rules)
        self.request = Request(PATH, signer.mint(role=ROLE))
        self._other_role = Request(PATH, signer.mint(role="nobody"))
        self._forged = signer.forge({**CLAIMS, "roles": [ROLE]})
        self.asgi = asgi_around(self.mapping)
        self.wsgi = wsgi_around(self.mapping)
        self.prototype = prototype = Prototype(self.mapping["routes"])
        for request, roles in ((self.request, {ROLE, "viewer"}), (self._other_role, {"nobody"})):
            if request.token is not None:
                prototype.learn(request.token, Known(4e9, frozenset(roles), {}))
        self.asgi_prototype = AsgiPrototype(bare_asgi, prototype)
        self.wsgi_prototype = WsgiPrototype(bare_wsgi, prototype)

    def check(self, loop: Loop) -> None:
        """Raise `Wrong` unless a good token gets 200 and every other is refused."""
        cases = [
            (self.request, 200),
            (self.request.bearing(None), 401),
            (self.request.bearing(self._forged), 401),
            (self._other_role, 403),
        ]
        for request, expected in cases:
            found = [
                *(asgi_status(loop, app, request) for app in (self.asgi, self.asgi_prototype)),
                *(wsgi_status(app, request) for app in (self.wsgi, self.wsgi_prototype)),
            ]
            if found != [expected] * 4:
                raise Wrong(f"{found} where {expected} is right")
