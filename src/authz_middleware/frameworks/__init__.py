"""What a framework needs from us, found by the wrapped object; nothing is imported to find out.

Each framework has one module here. It is imported only where an object of that framework is
wrapped. Its `prepare` gets that object; its `extend`, if it has one, adds to the scope of each
request what the framework's habits expect there. What else it has is in `Framework`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from itertools import takewhile
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias, cast

from authz_middleware.frameworks.endpoints import where
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.routes import UNSEEN, Resolved, Route, RouteTable, Taken
from authz_middleware.policy.segments import DoubleStar

if TYPE_CHECKING:
    from authz_middleware.access import Access

__all__ = [
    "Extend",
    "Found",
    "Framework",
    "Seen",
    "UseOfRootPath",
    "built_late",
    "find",
    "is_exact",
    "own_root_path",
    "prepare",
    "see",
    "use_of_root_path",
]

_MODULES: Final = {
    "authz_middleware.frameworks.django": "django",  # what Django's own middleware stands in
    "bottle": "bottle",
    "django.core.handlers.asgi": "django",
    "django.core.handlers.wsgi": "django",
    "falcon.app": "falcon",
    "flask.app": "flask",
    "hypercorn.middleware.dispatcher": "hypercorn",
    "litestar.app": "litestar",
    "pyramid.router": "pyramid",
    "quart.app": "quart",
    # FastAPI's classes derive from these. The last two are what stands behind us where we are
    # added to an app, to a router, to a mount or to a route.
    "starlette.applications": "starlette",
    "starlette.middleware.exceptions": "starlette",
    "starlette.routing": "starlette",
    "werkzeug.middleware.dispatcher": "werkzeug",
    "werkzeug.routing.map": "werkzeug",
}
"""Where a framework defines what can be wrapped -> our module for it."""

UseOfRootPath: TypeAlias = Literal["any", "kept", "kept inside"]

_DISPATCHING: Final = tuple(
    f"{how}_{what}"
    for how in ("handle", "full_dispatch", "dispatch")
    for what in ("request", "websocket")
)

_TRANSPARENT: Final = (
    "authz_middleware.",
    "litestar.",
    "starlette.middleware.",
    "werkzeug.middleware.proxy_fix",
)
"""Middlewares that answer nothing of their own but errors, and change no path."""

_OPAQUE: Final = ("starlette.middleware.base", "starlette.middleware.wsgi")
"""Modules among those whose middlewares do what somebody else has written."""

_ENTRIES: Final[Mapping[str, tuple[str, ...]]] = {
    "bottle": ("__call__", "wsgi", "_handle"),
    "django": ("__call__", "get_response", "get_response_async", "resolve_request"),
    "falcon": ("__call__", "_get_responder", "_handle_websocket"),
    "flask": ("__call__",),
    "hypercorn": ("__call__",),
    "litestar": ("__call__",),
    "pyramid": ("__call__", "handle_request", "invoke_request", "request_context"),
    "quart": ("__call__", *_DISPATCHING),
    "werkzeug": ("__call__",),
}
"""What leads from an app's entry to its handlers, by our module. Starlette's looks for itself."""

_HELD: Final = {"bottle": "wsgi", "litestar": "asgi_handler", "pyramid": "execution_policy"}
"""What an app calls there, and may hold in the place of the framework's own."""

_MAX_LAYERS: Final = 32
"""Middlewares that are looked through; a chain that is longer is a cycle."""

Extend = Callable[[dict[str, Any], "Access"], None]
"""Adds to the copied scope of a request that is let in."""


class Framework(Protocol):
    """What the module of a framework may have, so that its router and the guard agree.

    What is `taken` is a pair: where the route's app is mounted in the one that is wrapped ("" at
    its root), and what names the route there.
    """

    def routes(self, app: Any) -> Iterable[Route]:
        """Yield every route of `app`, mounts followed; what cannot be seen is an opaque one."""
        ...

    def between(self, app: Any) -> Iterable[str]:
        """Yield the names of what stands inside of `app`, before its routers, and may do anything.

        A module need not have this.
        """
        ...

    def resolve(self, app: Any, request: Mapping[str, Any]) -> Taken | Resolved:
        """Say which route the router of `app` takes for a scope or environ, left as it is."""
        ...

    def install(self, app: Any) -> frozenset[Taken]:
        """Have every handler of `app` ask `look_again` before it runs; return the routes that do.

        Called again for the same app it changes nothing.
        """
        ...


class Seen(NamedTuple):
    """A wrapped app, whose routes are asked for once they exist.

    `framework` is the module that reads them, or None: then nothing of `app` can be seen.
    """

    app: object
    name: str
    framework: Framework | None
    between: tuple[str, ...] = ()
    vouched: bool = False  # somebody answers for what stands between

    def table(self) -> RouteTable:
        """Return the routes, and put the second look before them."""
        guarded = self.install()
        return RouteTable(
            tuple(replace(each, guarded_inside=each.taken in guarded) for each in self.routes()),
            tuple(dict.fromkeys(self.unseen())),
        )

    def unseen(self) -> Iterable[str]:
        """What stands around the app and inside of it, now that all of it is there."""
        if self.framework is None or self.vouched or not hasattr(self.framework, "between"):
            return self.between
        return *self.between, *self.framework.between(self.app)

    def routes(self) -> Iterable[Route]:
        """Yield the app's routes; all of it is one opaque route where they cannot be seen."""
        if self.framework is None:
            return [Route(("", self.name), "/**", (DoubleStar(),), None, self.name, kind="opaque")]
        return self.framework.routes(self.app)

    def install(self) -> frozenset[Taken]:
        """Put the second look before the app's handlers."""
        if self.framework is None or not hasattr(self.framework, "install"):
            return frozenset()
        return self.framework.install(self.app)

    @property
    def resolves(self) -> bool:
        """Whether it can be said which route a request takes."""
        return not self.between and hasattr(self.framework, "resolve")

    def resolve(self, request: Mapping[str, Any]) -> Taken | Resolved:
        """Say which route the app would take."""
        if self.framework is None or not self.resolves:
            return UNSEEN
        return self.framework.resolve(self.app, request)


def see(app: object, routes_of: object | None = None) -> Seen:
    """Return the app whose routes the policy is bound to: the one that `app` is or stands around.

    `routes_of` names it where `app` hides it; whoever does so answers for what stands between.
    """
    target = app if routes_of is None else routes_of
    name = f"{type(target).__module__}:{type(target).__qualname__}"
    found = find(target) if routes_of is None else _named(target)
    if found is None:
        return Seen(target, name, None)
    between = tuple(_between(app, found)) if routes_of is None else ()
    module = _module(found)
    framework = cast("Framework", module) if hasattr(module, "routes") else None
    return Seen(found.app, name, framework, between, vouched=routes_of is not None)


def _between(app: object, found: Found) -> Iterator[str]:
    """The names of what `app` wraps `found` in that is not known to leave requests alone."""
    for layer in _layers(app):
        if layer is found.app:
            break
        if not _is_transparent(layer):
            yield where(layer)
    yield from _in_place_of_entries(app, found)


def _is_transparent(layer: object) -> bool:
    module = type(layer).__module__
    return module.startswith(_TRANSPARENT) and module not in _OPAQUE


def _in_place_of_entries(wrapped: object, found: Found) -> Iterator[str]:
    """The names of what an app, or its class, has put where the framework begins to serve.

    A method that was patched into the framework's own class is not told from the framework.
    """
    app = found.app
    for name in _ENTRIES.get(found.module, ()):
        owner = next((each for each in type(app).__mro__ if name in vars(each)), None)
        if owner is None or _is_of(owner, found):
            continue
        if name != "__call__" or _is_called(wrapped, found):
            yield f"{where(owner)}.{name}"
    for layer in _layers(getattr(app, _HELD.get(found.module, ""), None)):
        if layer is app:
            return
        made = layer if inspect.isfunction(layer) else type(layer)
        if not (_is_transparent(layer) or _is_of(made, found)):
            yield where(layer)


def _is_called(wrapped: Any, found: Found) -> bool:
    """Whether the found app is called as such, and not by what its own `__call__` goes on to."""
    for _ in range(_MAX_LAYERS):
        if wrapped is found.app:
            return True
        owner = getattr(wrapped, "__self__", wrapped)
        if owner is found.app:
            return bool(wrapped.__name__ == "__call__")
        if found.module == "litestar" and _is_of(type(owner), found):  # its `asgi_handler`
            return False
        wrapped = getattr(owner, "app", None)
    return True


def _is_of(made: Any, found: Found) -> bool:
    """Whether a class or a function is of the found framework, or leaves requests alone."""
    return made.__module__.partition(".")[0] in ("authz_middleware", "pyramid_retry", found.module)


class Found(NamedTuple):
    """An application object of a framework that we know, and the name of our module for it."""

    app: object
    module: str


def find(app: object) -> Found | None:
    """Return the framework's object that `app` is, is a bound method of, or stands around."""
    return next(filter(None, map(_known, _layers(app))), None)


def _named(routes_of: object) -> Found | None:
    """Do so for what was named, which is itself meant, whatever was put into it."""
    return _known(routes_of) or find(routes_of)


def _known(layer: object) -> Found | None:
    # A function is a framework's own if it is made there, as Starlette makes its endpoints.
    for each in (layer,) if inspect.isfunction(layer) else type(layer).__mro__:
        if module := _MODULES.get(each.__module__):
            return Found(layer, module)
    return None


def prepare(app: object, routes_of: object | None = None) -> Extend | None:
    """Register the framework's own handler of `AccessDenied` where the app can be recognised.

    Also in the app that `routes_of` names. Return what adds to the scope of each request, or None.
    CORS that is seen inside is warned of.
    """
    if cors := next(_cors_inside(app), None):
        LOGGER.warning(
            "%s answers CORS inside of the guard: scripts cannot read refusals, and preflights are"
            " refused; add it after, or wrap it around, so that it is outside",
            cors,
        )
    named = None if routes_of is None else _named(routes_of)
    found = [each for each in (find(app), named) if each is not None]
    if not found and built_late():
        found = [Found(app, "starlette")]  # behind a middleware that does not say what it wraps
    extend: Extend | None = None
    for each in found:
        module: Any = _module(each)
        module.prepare(each.app)
        extend = extend or getattr(module, "extend", None)
    return extend


def _module(found: Found) -> ModuleType:
    return import_module(f"{__name__}.{found.module}")


def is_exact(app: object) -> bool:
    """Whether the router of `app` is known to route by the letter, as all but one do.

    Django's patterns may ignore letter case, and so may what Hypercorn dispatches to. What stands
    between us and a framework may do anything, unless it is the framework's own.
    """
    found = find(app)
    if found is None or found.module in ("django", "hypercorn"):
        return False
    around = takewhile(lambda layer: layer is not found.app, _layers(app))
    return all(type(layer).__module__.partition(".")[0] == found.module for layer in around)


def use_of_root_path(app: object) -> UseOfRootPath:
    """What becomes of the ASGI `root_path` in the path that the app routes on.

    Falcon never cuts it off. What is known of other apps, and of what stands around Falcon, is that
    any may.
    """
    for number, layer in enumerate(_layers(app)):
        if any(base.__module__.partition(".")[0] == "falcon" for base in type(layer).__mro__):
            return "kept inside" if number else "kept"
    return "any"


def own_root_path(app: object) -> Callable[[], str] | None:
    """Return what tells the `root_path` that the app puts in the place of the server's, or "".

    FastAPI does so where it was made with one, Django where FORCE_SCRIPT_NAME is set; both behind
    us if we stand around them. None where no app does.
    """
    for layer in _layers(app):
        modules = {base.__module__ for base in type(layer).__mro__}
        if "fastapi.applications" in modules:
            return lambda: getattr(layer, "root_path", "")
        if "django.core.handlers.asgi" in modules:
            own: Callable[[], str] = import_module(f"{__name__}.django").own_root_path
            return own
    return None


def built_late() -> bool:
    """Whether a framework is building its middleware now, after the server has started.

    Starlette does so at the first message, inside a server that takes an exception there for an
    app without lifespan support, and goes on to serve.
    """
    frame = inspect.currentframe()
    for _ in range(9):  # these functions, our own constructor, and those of subclasses
        if frame is None:
            break
        if frame.f_code.co_name == "build_middleware_stack":
            return True
        frame = frame.f_back
    return False


def _cors_inside(app: object) -> Iterator[str]:
    """The names of what answers CORS in `app` or around it, as far as that can be seen."""
    for layer in _layers(app):
        added = getattr(layer, "user_middleware", None)  # Starlette's, which are not built yet
        listed = cast("list[object]", added) if isinstance(added, list) else []
        known = [type(layer), *(getattr(each, "cls", None) for each in listed)]
        yield from (
            name for each in known if "cors" in (name := getattr(each, "__name__", "")).lower()
        )


def _layers(app: object) -> Iterator[object]:
    """`app`, and what it stands around: middlewares keep what they wrap under `app`.

    An app of Flask's or Quart's calls what stands under `wsgi_app` or `asgi_app`, which may be a
    middleware that was put there, or a method of its own.
    """
    for _ in range(_MAX_LAYERS):
        if app is None:
            return
        app = _called_by(app)
        owner = getattr(app, "__self__", app)  # such as Flask's `app.wsgi_app`
        if owner is not app and _called_by(owner) is not owner and not _is_theirs(app):
            yield app
        yield owner
        if (named := getattr(owner, "routes_of", None)) is not None:  # a guard of ours
            yield named
            return
        app = getattr(owner, "app", None)


def _called_by(app: object) -> object:
    modules = {base.__module__ for base in type(app).__mro__}
    if "flask.app" in modules:
        return getattr(app, "wsgi_app", app)
    return getattr(app, "asgi_app", app) if "quart.app" in modules else app


def _is_theirs(method: object) -> bool:
    """Whether a method is as Flask or Quart made it."""
    return getattr(method, "__module__", "").partition(".")[0] in ("flask", "quart")
