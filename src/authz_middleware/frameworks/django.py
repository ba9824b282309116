"""Django: its routes, the second look before every view, and `AccessDenied` answered by Django."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial, wraps
from io import BytesIO
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers import exception as handling
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.urls import Resolver404, get_resolver
from django.utils.translation import get_language_from_path, override

from authz_middleware import frameworks
from authz_middleware.access import Access
from authz_middleware.effects import Routed
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import Answer
from authz_middleware.frameworks.django_routes import (
    has_prefixes,
    key,
    matched,
    url_routes,
    urlconf_name,
    urlconfs,
)
from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import KEY, look_again
from authz_middleware.policy.canonical import from_wsgi
from authz_middleware.policy.routes import NO_ROUTE, Resolved, Route, Taken
from authz_middleware.policy.segments import Exact, PathTail

__all__ = [
    "Project",
    "answer_denials",
    "install",
    "look_at_changes",
    "looked",
    "own_root_path",
    "prepare",
    "resolve",
    "respond",
    "routes",
]

# What Django has an answer of its own for. A view that raises one of them while it handles a
# denial has chosen that answer.
_ANSWERED = (
    Http404,
    PermissionDenied,
    BadRequest,
    SuspiciousOperation,
    MultiPartParserError,
)


def prepare(handler: Any) -> None:
    """Let Django answer denials, and its requests have `request.authz`.

    Raises PolicyError if AUTHZ_URLCONFS names what does not exist.
    """
    urlconfs()
    answer_denials()
    look_at_changes()
    handler = getattr(handler, "application", handler)  # behind a StaticFilesHandler
    if isinstance(handler, (WSGIHandler, ASGIHandler)):
        entry = "get_response" if isinstance(handler, WSGIHandler) else "get_response_async"
        if not hasattr(getattr(handler, entry), "tells"):
            setattr(handler, entry, _telling(getattr(handler, entry)))


def _telling(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tell(request: Any) -> Any:
        request.authz = _carrier(request).get(KEY)
        request._authz_mount = _mount(request, request.path_info)  # noqa: SLF001 - ours
        return get_response(request)

    tell.tells = True  # type: ignore[attr-defined]
    return tell


def _carrier(request: Any) -> Mapping[str, Any]:
    """Return what the server made, in which a guard outside puts its `Access`."""
    carrier: Mapping[str, Any]
    carrier = request.scope if isinstance(request, ASGIRequest) else request.environ
    return carrier


def _mount(request: Any, path: str) -> str:
    """Return what the project is mounted under in the app that is guarded.

    Whoever mounts it has cut that off the path, and put it behind the prefix of the server. It is
    looked for before any middleware of Django's may change the path.
    """
    access = _carrier(request).get(KEY)
    if not isinstance(access, Access) or access.facts.path in (None, path):
        return ""
    facts = access.facts
    prefix = from_wsgi(facts.mount) or facts.root_path
    mount: str = request.META["SCRIPT_NAME"].removeprefix(prefix)
    whole = f"{facts.path}/" if path == "/" else f"{facts.path}"
    return mount if whole.rstrip("/").endswith((mount + path).rstrip("/")) else ""


class Project:
    """The project of the settings, as `AuthzMiddleware` stands in it, which guards every view."""


_FILES: Final = "", "STATIC_URL"
"""What names the files that a StaticFilesHandler serves, before the project is asked."""


def routes(app: Any) -> Iterable[Route]:
    """Yield the routes of the project's urlconfs, and those of what serves files before it."""
    if not hasattr(app, "application"):
        yield from url_routes()
        return
    if not app.base_url.netloc:
        texts = filter(None, app.base_url.path.split("/"))
        yield Route(
            _FILES,
            f"{app.base_url.path}**",
            (*map(Exact, texts), PathTail("path")),
            None,
            where(type(app)),
            kind="static",
        )
    yield from frameworks.see(app.application).routes()


def resolve(app: Any, request: Mapping[str, Any]) -> Taken | Resolved:
    """Say which route Django takes for a scope, an environ, or the attributes of its own request.

    An urlconf that a middleware chooses is not seen here.
    """
    if request.get("type", "http") != "http":
        return NO_ROUTE
    asked: Mapping[str, Any] = request
    if hasattr(app, "request_class"):
        asked = _asked(app, request)
    if hasattr(app, "application"):
        if not app.base_url.netloc and _file_path(asked).startswith(app.base_url.path):
            return _FILES
        return frameworks.see(app.application).resolve(request)
    path, urlconf = asked["path_info"], asked.get("urlconf")
    language = (get_language_from_path(path) if has_prefixes() else None) or settings.LANGUAGE_CODE
    with override(language):
        try:
            found = get_resolver(urlconf).resolve(path)
        except Resolver404:
            return NO_ROUTE
    return "", matched(urlconf_name(urlconf), found)


def _asked(handler: Any, received: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes of the request that the handler makes; under WSGI of a new environ."""
    copied = dict(received)
    body = [BytesIO()] if issubclass(handler.request_class, ASGIRequest) else []
    asked: Mapping[str, Any] = handler.request_class(copied, *body).__dict__
    return asked


def _file_path(request: Mapping[str, Any]) -> str:
    """Return what a StaticFilesHandler looks at: under ASGI with the `root_path`."""
    path: str = request["scope"]["path"] if "scope" in request else request["path_info"]
    return path


def install(app: Any) -> frozenset[Taken]:
    """Have the view looked at before any `process_view` of the project's middlewares."""
    if hasattr(app, "application"):
        _look_at_files(app)
        return frozenset((_FILES, *frameworks.see(app.application).install()))
    if hasattr(app, "request_class"):  # else the project's own middleware looks
        hooks = getattr(app, "_view_middleware", None)
        if not isinstance(hooks, list):
            return frozenset()
        prepare(app)
        hook = _look if isinstance(app, WSGIHandler) else _look_async
        if hook not in hooks:
            cast("list[object]", hooks).insert(0, hook)
    return frozenset(route.taken for route in url_routes())


def _look(request: Any, view: object, *_arguments: object) -> None:
    mount: str = getattr(request, "_authz_mount", "")
    path = mount + request.path_info
    asked = Routed((mount, key(request, view)), "http", request.method, path)
    look = partial(look_again, _carrier(request))
    look(asked)
    looked(request, "outside", asked, look)


def looked(request: Any, place: str, asked: Routed, look: Callable[[Routed], None]) -> None:
    """Remember what the guard at this place has looked at, and how, for `look_at_changes`."""
    _looks(request)[place] = asked, request.path_info, look


def _looks(request: Any) -> dict[str, tuple[Routed, str, Callable[[Routed], None]]]:
    """What was looked at, kept with the request: by place, with the path that Django routed on."""
    members = cast("dict[str, Any]", vars(request))
    looks: dict[str, tuple[Routed, str, Callable[[Routed], None]]]
    looks = members.setdefault("_authz_looked", {})
    return looks


@cache
def look_at_changes() -> None:
    """Look again where a `process_view` has made another request of it; in this process, once.

    Django calls `make_view_atomic` when all of those have been asked, and calls what it returns.
    The view was found by then, but a class takes its method by what the request says.
    """
    original: Callable[..., Any] = BaseHandler.make_view_atomic

    @wraps(original)
    def make_view_atomic(handler: Any, view: Any) -> Any:
        made = original(handler, view)
        # Not the one of `inspect`, which knows no marks before Python 3.12.
        if iscoroutinefunction(made):  # pyright: ignore[reportDeprecated]

            @wraps(made)
            async def look_and_await(request: Any, *args: Any, **kwargs: Any) -> Any:
                refusal = _look_if_changed(request)
                return await made(request, *args, **kwargs) if refusal is None else refusal

            return look_and_await

        @wraps(made)
        def look_and_call(request: Any, *args: Any, **kwargs: Any) -> Any:
            refusal = _look_if_changed(request)
            return made(request, *args, **kwargs) if refusal is None else refusal

        return look_and_call

    BaseHandler.make_view_atomic = make_view_atomic  # type: ignore[assignment, method-assign]


def _look_if_changed(request: Any) -> HttpResponse | None:
    """Return the refusal, which is sent whatever the middlewares make of it, or None."""
    for asked, path, look in _looks(request).values():
        if (asked.method, path) != (request.method, request.path_info):
            mount = asked.path.removesuffix(path)
            try:
                look(asked._replace(method=request.method or "", path=mount + request.path_info))
            except AccessDenied as denied:
                request._authz_overruled = denied.answer  # noqa: SLF001 - ours
                return respond(denied.answer, request)
    return None


async def _look_async(request: Any, view: object, *_arguments: object) -> None:
    _look(request, view)


def _look_at_files(handler: Any) -> None:
    serve: Callable[[Any], Any] = handler.serve
    if getattr(serve, "looks", False):
        return

    @wraps(serve)
    def look_and_serve(request: Any) -> Any:
        path = _file_path(request.__dict__)
        mount = _mount(request, path)
        place, name = _FILES
        asked = Routed((mount + place, name), "http", request.method, mount + path)
        try:
            look_again(_carrier(request), asked)
        except AccessDenied as denied:  # Django expects no other errors here than Http404
            return respond(denied.answer, request)
        return serve(request)

    look_and_serve.looks = True  # type: ignore[attr-defined]
    handler.serve = look_and_serve


def own_root_path() -> str:
    """Return the prefix that Django cuts off the ASGI path, whatever the server says."""
    return settings.FORCE_SCRIPT_NAME or ""


@cache
def answer_denials() -> None:
    """Answer `AccessDenied` where Django answers all exceptions; in this process, once.

    Django does so around the view and around every middleware, by this one function. No documented
    hook is asked about what a middleware raises: it would be logged as a server's error, and told
    to the receivers of `got_request_exception`. The decision records say what else was tried.
    """
    original = handling.response_for_exception

    @wraps(original)
    def response_for_exception(request: HttpRequest, exc: Exception) -> HttpResponse:
        denied = None if isinstance(exc, _ANSWERED) else AccessDenied.within(exc)
        return original(request, exc) if denied is None else respond(denied.answer, request)

    handling.response_for_exception = response_for_exception


def respond(answer: Answer, request: HttpRequest) -> HttpResponse:
    """Return our answer as Django's response."""
    # As received: Django's own `method` is HEAD for `head` too, but servers send a body for that.
    if isinstance(request, ASGIRequest):
        method = request.scope["method"]
    else:
        method = request.META["REQUEST_METHOD"]
    body = b"" if method == "HEAD" else answer.body
    return HttpResponse(body, status=answer.status, headers=dict(answer.headers))
