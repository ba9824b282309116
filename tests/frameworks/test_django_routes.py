"""Django's routes, the route that a request takes, and the look between its router and the view."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler, StaticFilesHandler
from django.core.checks.registry import registry
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, HttpResponseNotFound
from django.test import Client
from django.test.utils import override_settings
from django.urls import URLPattern, URLResolver, clear_url_caches, include, path, re_path
from django.urls.resolvers import RoutePattern
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from django.views.static import serve
from hypothesis import given, settings
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from authz_middleware import (
    ASGIAuthzMiddleware,
    Authz,
    PolicyError,
    WSGIAuthzMiddleware,
    current_access,
)
from authz_middleware.frameworks import django as frameworks_django
from authz_middleware.frameworks import see
from authz_middleware.policy.routes import NO_ROUTE
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import environ_for, scope_for
from tests.django import urls as module
from tests.django.projects import OURS, changing, configure, rewriting, send_wsgi
from tests.frameworks.django_sites import FORMS, Site, serving, urls
from tests.frameworks.installed import installed
from tests.frameworks.laws import Declared, World, worlds
from tests.frameworks.laws import check as hold

ISSUER = DevelopmentIssuer(audience="x")


@pytest.fixture(scope="module", autouse=True)
def django() -> None:
    configure()


OUTSIDE = [form for form in FORMS if form.startswith("outside")]
INSIDE = [form for form in FORMS if form.startswith("inside")]


def authz(routes: dict[str, Any], **more: Any) -> Authz:
    return Authz.from_mapping({"issuers": [ISSUER.policy_issuer()], "routes": routes, **more})


def bearer(*roles: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {ISSUER.mint('ann', roles=list(roles))}")]


def view(request: Any, **captured: Any) -> HttpResponse:
    return HttpResponse(f"{request.method} {sorted(captured.items())}")


async def async_view(request: Any, **captured: Any) -> HttpResponse:
    return view(request, **captured)


# --- The law ---


def build(routes: Sequence[Declared], ran: list[str]) -> list[Any]:
    def handler(route: Declared) -> Any:
        def run(self: Any, request: Any, **_: Any) -> HttpResponse:
            ran.append(route.name)
            return HttpResponse(route.name)

        return type(route.name, (View,), {m.lower(): run for m in route.methods}).as_view()  # type: ignore[attr-defined]

    return [path(route.text[1:], method_decorator(csrf_exempt)(handler(route))) for route in routes]


@pytest.mark.parametrize("form", FORMS)
def test_what_runs_was_allowed_twice(form: str) -> None:
    @given(worlds())
    @settings(max_examples=40, deadline=None, derandomize=True)
    def law(world: World) -> None:
        def wrap(patterns: list[Any], authz: Authz) -> Site:
            return Site(patterns, authz, form)

        def ask(app: Any, method: str, path: str, headers: list[tuple[str, str]]) -> None:
            if isinstance(app, Site):
                app.ask(method, path, headers)
                return
            with serving(app, MIDDLEWARE=[]):
                send_wsgi(WSGIHandler(), method, path, headers)

        hold(world, build, wrap, ask)

    law()


# --- The table ---


class Item(View):
    def get(self, request: Any, id: int) -> HttpResponse:
        return HttpResponse(f"item {id}")

    def delete(self, request: Any, id: int) -> HttpResponse:
        return HttpResponse(f"deleted {id}")


class Restricting(View):
    """Such as LoginRequiredMixin, whose module wants models."""

    __module__ = "django.contrib.auth.mixins"

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(request, *args, **kwargs)


class Private(Restricting, Item):
    http_method_names = ("get", "options")

    def options(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse("ours")


class Own(View):
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse(request.method)


class Blind(URLPattern):
    def resolve(self, path: str) -> Any:
        return super().resolve(path)


class BlindResolver(URLResolver):
    def resolve(self, path: str) -> Any:
        return super().resolve(path)


NOTES = [path("", view, name="list"), path("<slug:name>/", view, name="one")]
ITSELF: list[Any] = [path("leaf", view)]
ITSELF.append(path("again/", include(ITSELF)))


def shop() -> list[Any]:
    return [
        path("items/<int:id>", Item.as_view()),
        path("private/<int:id>", Private.as_view()),
        path("few/<int:id>", Item.as_view(http_method_names=["get"])),
        path("own", Own.as_view()),
        path("old", RedirectView.as_view(url="/items/1")),
        path("files/<path:path>", serve),
        path("notes/", include((NOTES, "notes"), namespace="mine")),
        re_path(r"^re/(?P<id>\d+)/(?:sub)?$", view),
    ]


class Dynamic(RoutePattern):
    def match(self, path: str) -> Any:
        return ("", (), {}) if path.startswith("dyn") else None


def unseen() -> list[Any]:
    return [
        path("tree/", include(ITSELF)),
        path("one/", include([Blind(path("blind", view).pattern, view)])),
        path("two/", include([BlindResolver(path("er/", include([])).pattern, NOTES)])),
        path("three/", include([URLPattern(Dynamic("x", is_endpoint=True), view)])),
    ]


def table(patterns: list[Any], **options: Any) -> list[tuple[str, ...]]:
    with serving(patterns, **options):
        routes = see(frameworks_django.Project()).table().routes
    assert all(route.guarded_inside for route in routes)
    assert len({route.taken for route in routes}) == len(routes)
    return [
        (
            "|".join(sorted(set(each.methods or ["any"]) - each.automatic)),
            each.text,
            each.kind,
            " ".join(type(segment).__name__ for segment in each.segments),
        )
        for each in routes
    ]


def test_the_table() -> None:
    assert table(shop()) == [
        ("DELETE|GET|HEAD", "/items/<int:id>", "handler", "Exact Typed"),
        ("GET|OPTIONS", "/private/<int:id>", "handler", "Exact Typed"),
        ("GET", "/few/<int:id>", "handler", "Exact Typed"),
        ("any", "/own", "handler", "Exact"),
        ("DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT", "/old", "redirect", "Exact"),
        ("any", "/files/<path:path>", "static", "Exact PathTail"),
        ("any", "/notes/", "handler", "Exact"),
        ("any", "/notes/<slug:name>/", "handler", "Exact Plain"),
        ("any", r"/^re/(?P<id>\d+)/(?:sub)?$", "handler", "Exact Plain PathTail"),
    ]


def test_what_cannot_be_seen() -> None:
    assert table(unseen()) == [
        ("any", "/tree/leaf", "handler", "Exact Exact"),
        ("any", "/tree/again/**", "opaque", "Exact Exact PathTail"),
        ("any", "/one/blind", "handler", "Exact PathTail"),
        ("any", "/two/er/**", "opaque", "Exact PathTail"),
        ("any", "/three/x", "handler", "Exact PathTail"),
    ]


APPS = [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes")]


def test_the_admin_site(monkeypatch: pytest.MonkeyPatch) -> None:
    # The apps would add checks that other tests' settings do not pass.
    monkeypatch.setattr(registry, "registered_checks", set(registry.registered_checks))
    with override_settings(INSTALLED_APPS=APPS):
        admin = import_module("django.contrib.admin")
        routes = table([path("admin/", admin.site.urls)])
    assert ("any", "/admin/login/", "handler", "Exact Exact") in routes
    assert routes[-1] == ("any", "/admin/(?P<url>.*)$", "handler", "Exact PathTail")


def test_where_a_view_is() -> None:
    with serving(
        [path("a", Item.as_view()), path("b", csrf_exempt(view)), path("c", Own.as_view())]
    ):
        found = [route.endpoint for route in see(frameworks_django.Project()).routes()]
    assert found == [f"{__name__}:Item", f"{__name__}:view", f"{__name__}:Own"]


LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("pt-br", "Português")]
I18N = {"LANGUAGES": LANGUAGES, "LANGUAGE_CODE": "en"}
LOCALE = "django.middleware.locale.LocaleMiddleware"


def localised(*, prefixed: bool) -> list[Any]:
    return [
        path("plain", view),
        *i18n_patterns(
            path("news/<int:id>", view),
            # The days are in Django's own catalogues.
            path(gettext_lazy("Sunday"), view),
            prefix_default_language=prefixed,
        ),
    ]


def test_prefixes_of_languages_are_one_route() -> None:
    assert table(localised(prefixed=True), **I18N) == [
        ("any", "/plain", "handler", "Exact"),
        ("any", "/<language>/news/<int:id>", "handler", "AnyOf Exact Typed"),
        ("any", "/<language>/Sunday", "handler", "AnyOf Exact"),
        ("any", "/<language>/Sonntag", "handler", "AnyOf Exact"),
        ("any", "/<language>/Domingo", "handler", "AnyOf Exact"),
    ]
    assert table(localised(prefixed=False), **I18N)[1:4] == [
        ("any", "/news/<int:id>", "handler", "Exact Typed"),
        ("any", "/<language>/news/<int:id>", "handler", "AnyOf Exact Typed"),
        ("any", "/Sunday", "handler", "Exact"),
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("prefixed", "english"), [(True, "/en"), (False, "")])
def test_what_is_asked_in_a_language(form: str, prefixed: bool, english: str) -> None:
    rules = {
        f"{english}/news/<int:id>": ["en"],
        "/<any(de,pt-br):lang>/news/<int:id>": ["other"],
        "/de/Sonntag": ["de"],
    }
    site = Site(localised(prefixed=prefixed), authz(rules), form, [LOCALE], options=I18N)
    assert site.ask("GET", f"{english}/news/1", bearer("en")).status == 200
    for language in ("de", "pt-br"):
        assert site.ask("GET", f"/{language}/news/1", bearer("other")).status == 200
        assert site.ask("GET", f"/{language}/news/1", bearer("en")).status == 403
    assert site.ask("GET", "/de/Sonntag", bearer("de")).status == 200
    assert site.ask("GET", "/pt-br/Sonntag", bearer("de")).status == 403


def test_a_language_that_nobody_has_announced_has_no_rule() -> None:
    def activate(_: Any) -> None:
        translation.activate("fr")

    site = Site(
        localised(prefixed=True),
        authz({"/**": ["a"]}),
        middleware=[changing(activate)],
        options=I18N,
    )
    assert site.ask("GET", "/fr/news/1", bearer("a")).status == 403
    translation.deactivate()


# --- What a request would take ---


@pytest.mark.parametrize("world", ["wsgi", "asgi"])
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("/items/1", "/items/<int:id>"),
        ("/items/x", None),
        ("/notes/", "/notes/"),
        ("/notes", None),
        ("/notes/a/", "/notes/<slug:name>/"),
        ("/re/7/sub", r"/^re/(?P<id>\d+)/(?:sub)?$"),
        ("/re/7/", r"/^re/(?P<id>\d+)/(?:sub)?$"),
        ("/files/a/b", "/files/<path:path>"),
        ("/nowhere", None),
        ("", None),
        ("/static/x.css", "/static/**"),
    ],
)
def test_which_route_a_request_takes(asked: str, text: str | None, world: str) -> None:
    with serving(shop(), STATIC_URL="/static/", DEBUG=True):
        handler: Any = WSGIHandler() if world == "wsgi" else ASGIHandler()
        files = StaticFilesHandler if world == "wsgi" else ASGIStaticFilesHandler
        seen = see(files(handler))
        request = (environ_for if world == "wsgi" else scope_for)("GET", asked)
        before = {**request}
        taken = seen.resolve(request)
        assert request == before
        assert taken == next((r.taken for r in seen.routes() if r.text == text), NO_ROUTE)


def test_what_is_no_http_takes_none() -> None:
    with serving(shop()):
        assert (
            see(ASGIHandler()).resolve(scope_for("GET", "/items/1", kind="websocket")) is NO_ROUTE
        )


@pytest.mark.parametrize("prefixed", [True, False])
def test_which_route_is_taken_in_a_language(prefixed: bool) -> None:
    with serving(localised(prefixed=prefixed), **I18N):
        seen = see(WSGIHandler())
        texts = {route.taken: route.text for route in seen.routes()}
        assert texts[seen.resolve(environ_for("GET", "/de/news/1"))] == "/<language>/news/<int:id>"
        assert texts[seen.resolve(environ_for("GET", "/de/Sonntag"))] == "/<language>/Sonntag"
        assert (seen.resolve(environ_for("GET", "/news/1")) is NO_ROUTE) == prefixed


# --- The second look ---

RULES = {
    "/items/<int:id>": ["viewer"],
    "DELETE /items/<int:id>": ["admin"],
    "/notes/**": ["writer"],
}


def plain_refusal(form: str) -> Any:
    return Site(shop(), authz(RULES), form).ask("GET", "/notes/", bearer("viewer"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("change", "allowed"),
    [({"path": "/notes/"}, True), ({"method": "DELETE"}, True), ({"path": "/own"}, False)],
    ids=["path", "method", "no-rule"],
)
def test_a_middleware_that_rewrites_opens_nothing(
    form: str, change: dict[str, str], allowed: bool
) -> None:
    site = Site(shop(), authz(RULES), form, [rewriting(**change)])
    refused, plain = site.ask("GET", "/items/1", bearer("viewer")), plain_refusal(form)
    assert (refused.status, plain.status) == (403, 403)
    assert {name for name, _ in refused.headers} == {name for name, _ in plain.headers}
    all_roles = bearer("viewer", "admin", "writer")
    assert (site.ask("GET", "/items/1", all_roles).status == 200) == allowed


@pytest.mark.parametrize("form", FORMS)
def test_whatever_a_middleware_makes_of_the_refusal(form: str) -> None:
    def hiding(get_response: Any) -> Any:
        def middleware(request: Any) -> Any:
            request.path_info = "/notes/"
            get_response(request)
            return HttpResponse("all is well", headers={"X-Inner": "1"})

        return middleware

    site = Site(shop(), authz(RULES), form, [hiding])
    refused = site.ask("GET", "/items/1", bearer("viewer"))
    assert refused.status == 403
    assert b"urn:uuid:" in refused.body
    assert refused.header("x-inner") is None


OTHER = urls([path("items/<int:id>", view), path("other", view)])


def choosing(urlconf: Any) -> Any:
    def choose(request: Any) -> None:
        request.urlconf = urlconf

    return changing(choose)


@pytest.mark.parametrize("form", FORMS)
class TestAnotherUrlconf:
    def test_that_nobody_has_announced_has_no_rule(
        self, form: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """path-confusion: `/public` on the admin host ran `admin`."""
        site = Site(shop(), authz(RULES), form, [choosing(OTHER)])
        for _ in range(2):
            assert site.ask("GET", "/items/1", bearer("viewer", "admin")).status == 403
        assert caplog.text.count("a route that was added after the start has no rule") == 1

    def test_of_the_settings_has_the_rules_of_its_paths(self, form: str) -> None:
        site = Site(
            shop(),
            authz({**RULES, "/other": ["other"]}),
            form,
            [choosing(OTHER)],
            options={"AUTHZ_URLCONFS": [OTHER]},
        )
        assert site.ask("GET", "/items/1", bearer("viewer")).body == b"GET [('id', 1)]"
        assert site.ask("GET", "/items/1", bearer("other")).status == 403
        assert site.ask("GET", "/other", bearer("other")).status == 200

    def test_that_is_the_projects_own(self, form: str) -> None:
        site = Site(shop(), authz(RULES), form, [choosing(None)])
        assert site.ask("GET", "/items/1", bearer("viewer")).status == 200

    def test_a_module_is_known_by_its_name(self, form: str) -> None:
        site = Site(
            [],
            authz(RULES),
            form,
            [choosing(module)],
            options={"ROOT_URLCONF": "tests.django.urls", "AUTHZ_URLCONFS": [module]},
        )
        module.urlpatterns.append(path("items/<int:id>", view))
        try:
            assert site.ask("GET", "/items/1", bearer("viewer")).status == 200
        finally:
            module.urlpatterns.clear()

    @pytest.mark.parametrize("named", [["nowhere.urls"], ["tests.nowhere"], "tests.django.urls"])
    def test_that_does_not_exist_stops_the_start(self, named: Any, form: str) -> None:
        site = Site(shop(), authz(RULES), form, options={"AUTHZ_URLCONFS": named})
        with pytest.raises(PolicyError, match="AUTHZ_URLCONFS: "):
            site.ask("GET", "/items/1", bearer("viewer"))

    def test_that_cannot_be_loaded_is_not_served(
        self, form: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not even the project's own URLs, as if all of them could not be seen."""
        options = {"AUTHZ_URLCONFS": ["tests.frameworks.installed"]}
        site = Site(shop(), authz(RULES), form, options=options)
        for _ in range(2):
            assert site.ask("GET", "/items/1", bearer("viewer")).status == 503
        assert caplog.text.count("'tests.frameworks.installed' is no urlconf: ") == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_route_that_is_added_later_has_no_rule(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(shop(), authz({"/**": ["viewer"]}), form)
    assert site.ask("GET", "/late", bearer("viewer")).status == 404
    site.patterns.append(path("late", view))
    caplog.clear()
    for _ in range(2):
        assert site.ask("GET", "/late", bearer("viewer")).status == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 1


class Article(View):
    def get(self, request: Any) -> HttpResponse:
        return HttpResponse("get")

    def delete(self, request: Any) -> HttpResponse:
        return HttpResponse("delete")


class AsyncArticle(View):
    async def get(self, request: Any) -> HttpResponse:
        return HttpResponse("get")

    async def delete(self, request: Any) -> HttpResponse:
        return HttpResponse("delete")


class LateOverride:
    """A middleware that has another method, or path, by the time when the view is called."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)

    def process_view(self, request: Any, *_: Any) -> None:
        request.method = request.headers.get("X-Method", request.method)
        request.path_info = request.headers.get("X-Path", request.path_info)

    def process_exception(self, *_: Any) -> HttpResponse:
        raise NotImplementedError


@pytest.mark.parametrize("view", [Article, AsyncArticle])
@pytest.mark.parametrize("form", [*FORMS, "both wsgi", "both asgi"])
def test_what_a_process_view_changes_is_looked_at(form: str, view: Any) -> None:
    """Django takes the view before that, but a class takes its method after it."""
    rules = authz({"GET /item": ["viewer"], "DELETE /item": ["admin"], "/other": ["admin"]})
    site = Site([path("item", view.as_view())], rules, form, [LateOverride])
    if form.startswith("both"):
        site.settings |= {
            "AUTHZ_CONFIG": rules,
            "MIDDLEWARE": [f"{OURS}", *site.settings["MIDDLEWARE"]],
        }
    assert site.ask("GET", "/item", bearer("viewer")).body == b"get"
    for header in (("X-Method", "DELETE"), ("X-Path", "/other"), ("X-Path", "")):
        assert site.ask("GET", "/item", [*bearer("viewer"), header]).status in (400, 403)
    sent = site.ask("GET", "/item", [*bearer("admin", "viewer"), ("X-Method", "DELETE")])
    assert (sent.status, sent.body) == (200, b"delete")


@pytest.mark.parametrize("form", FORMS)
def test_the_first_declared_view_asks_for_its_own_rule(form: str) -> None:
    """Django takes the first; the policy the most specific."""
    patterns = [path("v/<str:name>", view), path("v/<int:id>", view)]
    rules = {"/v/<int:id>": ["number"], "/v/<name>": ["name"]}
    site = Site(patterns, authz(rules), form)
    assert site.ask("GET", "/v/1", bearer("number")).status == 403
    assert site.ask("GET", "/v/1", bearer("number", "name")).status == 200
    assert site.ask("GET", "/v/x", bearer("name")).status == 200


@pytest.mark.parametrize("form", FORMS)
def test_what_django_answers_itself_asks_nobody(form: str) -> None:
    site = Site(
        [*shop(), path("slash/", view)],
        authz({"/**": ["viewer"]}),
        form,
        ["django.middleware.common.CommonMiddleware"],
    )
    assert site.ask("GET", "/nowhere", bearer("viewer")).status == 404
    moved = site.ask("GET", "/slash", bearer("viewer"))
    assert (moved.status, moved.header("location")) == (301, "/slash/")
    assert site.ask("POST", "/items/1", bearer("viewer")).status == 405
    assert site.ask("OPTIONS", "/items/1", bearer("viewer")).status == 200


@pytest.mark.parametrize("form", FORMS)
def test_sync_and_async_views(form: str) -> None:
    patterns = [path("sync", view), path("async", async_view)]
    site = Site(patterns, authz({"/sync": ["a"], "/async": ["b"]}), form)
    for asked, role in (("/sync", "a"), ("/async", "b")):
        for held in ("a", "b"):
            expected = 200 if held == role else 403
            assert site.ask("GET", asked, bearer(held)).status == expected


@pytest.mark.parametrize("form", FORMS)
def test_behind_a_pattern_that_cannot_be_seen_the_path_decides(form: str) -> None:
    rules = {"/two/**": ["a"], "/one/**": ["b"], "/three/**": ["b"], "/tree/**": ["b"]}
    site = Site(unseen(), authz(rules), form)
    assert site.ask("GET", "/two/er/x/", bearer("a")).status == 200
    assert site.ask("GET", "/two/er/x/", bearer("b")).status == 403
    for asked in ("/one/blind", "/three/dyn/x", "/tree/leaf", "/tree/again/again/leaf"):
        assert site.ask("GET", asked, bearer("b")).status == 200
        assert site.ask("GET", asked, bearer("a")).status == 403


@pytest.mark.parametrize("form", FORMS)
def test_whoever_takes_the_view_from_elsewhere_has_no_rule(form: str) -> None:
    def drop(request: Any) -> None:
        request.__class__ = type(
            "Blind", (type(request),), {"resolver_match": property(lambda _: None, lambda *_: None)}
        )

    site = Site(shop(), authz(RULES), form, [changing(drop)])
    assert site.ask("GET", "/items/1", bearer("viewer")).status == 403


@pytest.mark.parametrize("form", OUTSIDE)
class TestOutside:
    def test_a_view_without_a_guard_before_it_is_refused(
        self, form: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = Site(shop(), authz(RULES), form)
        assert site.ask("GET", "/items/1", bearer("viewer")).status == 200
        site.app = site.handler
        assert site.ask("GET", "/items/1", bearer("viewer")).status == 500
        assert "by another way than through the guard" in caplog.text
        assert site.ask("GET", "/nowhere", []).status == 404

    def test_the_guard_may_stand_there_twice(self, form: str) -> None:
        site = Site(shop(), authz(RULES), form)
        assert site.ask("GET", "/items/1", bearer("viewer")).status == 200
        wrapper: Any = WSGIAuthzMiddleware if site.world == "wsgi" else ASGIAuthzMiddleware
        site.app = wrapper(site.app.app, authz({"/items/<int:id>": ["b"]}))
        for _ in range(2):
            assert site.ask("GET", "/items/1", bearer("viewer")).status == 403
            assert site.ask("GET", "/items/1", bearer("b")).status == 200
        assert len(site.handler._view_middleware) == 1

    def test_a_handler_that_has_no_hook_is_asked_before(self, form: str) -> None:
        class Odd(WSGIHandler if form.endswith("wsgi") else ASGIHandler):  # type: ignore[misc]
            def load_middleware(self, *args: Any, **kwargs: Any) -> None:
                super().load_middleware(*args, **kwargs)
                self.__dict__["_view_middleware"] = ()

        patterns = [path("v/<str:name>", view), path("v/<int:id>", view)]
        site = Site(patterns, authz({"/v/<int:id>": ["number"], "/v/<name>": ["name"]}), form)
        site.around = lambda _: Odd()
        assert site.ask("GET", "/v/1", bearer("number")).status == 403
        assert site.ask("GET", "/v/1", bearer("number", "name")).status == 200

    def test_static_files(self, form: str, tmp_path: Path) -> None:
        files = StaticFilesHandler if form.endswith("wsgi") else ASGIStaticFilesHandler
        rules = {"/static/a.css": ["a"], "/static/**": ["b"], "/items/<int:id>": ["c"]}
        for name in ("a.css", "b.js"):
            (tmp_path / name).write_text("x")
        options = {"STATIC_URL": "/static/", "DEBUG": True, "STATICFILES_DIRS": [tmp_path]}
        site = Site(shop(), authz(rules), form, around=files, options=options)
        css, js = "/static/a.css", "/static/b.js"
        assert site.ask("GET", css, bearer("a")).status == 200
        assert site.ask("GET", js, bearer("a")).status == 403
        assert site.ask("GET", js, bearer("b")).status == 200
        assert site.ask("GET", "/static/nothing", bearer("b")).status == 404
        assert site.ask("GET", "/items/1", bearer("c")).status == 200
        with override_settings(**site.settings):
            assert all(route.guarded_inside for route in see(site.app.app).table().routes)

    def test_an_outer_layer_that_rewrites_towards_a_file(self, form: str) -> None:
        files = StaticFilesHandler if form.endswith("wsgi") else ASGIStaticFilesHandler

        class Around:
            def __init__(self, handler: Any) -> None:
                self.app = files(handler)

            def __call__(self, first: dict[str, Any], *rest: Any) -> Any:
                key = "PATH_INFO" if form.endswith("wsgi") else "path"
                return self.app({**first, key: "/static/secret.css"}, *rest)

        options = {"STATIC_URL": "/static/", "DEBUG": True}
        site = Site(
            shop(), authz({**RULES, "/static/**": ["b"]}), form, around=Around, options=options
        )
        assert site.ask("GET", "/items/1", bearer("viewer")).status == 403
        assert site.ask("GET", "/items/1", bearer("viewer", "b")).status == 404

    def test_files_of_another_host_are_none(self, form: str) -> None:
        files = StaticFilesHandler if form.endswith("wsgi") else ASGIStaticFilesHandler
        options = {"STATIC_URL": "https://cdn.example.com/static/", "DEBUG": True}
        site = Site(shop(), authz(RULES), form, around=files, options=options)
        assert site.ask("GET", "/items/1", bearer("viewer")).status == 200
        with override_settings(**site.settings):
            assert "/static/**" not in {route.text for route in see(site.app.app).routes()}

    def test_a_question_that_a_view_asks_of_its_own_app_is_the_callers(self, form: str) -> None:
        if form.endswith("asgi"):
            pytest.skip("a view under ASGI would ask with the WSGI handler of its own")
        site = Site([], authz({**RULES, "/inside/**": ["viewer"]}), form)

        def ask_inside(request: Any, asked: str) -> HttpResponse:
            started: list[str] = []
            site.handler(environ_for("GET", f"/{asked}"), lambda status, *_: started.append(status))
            return HttpResponse(started[0])

        site.patterns[:] = [*shop(), path("inside/<path:asked>", ask_inside)]
        assert site.ask("GET", "/inside/items/1", bearer("viewer")).body == b"200 OK"
        assert site.ask("GET", "/inside/notes/", bearer("viewer")).body == b"403 Forbidden"
        both = bearer("viewer", "writer")
        assert site.ask("GET", "/inside/notes/", both).body == b"200 OK"


# --- Prefixes and mounts ---


@pytest.mark.parametrize("prefix", ["", "/svc", "/svc/é"])
@pytest.mark.parametrize("form", FORMS)
def test_below_a_prefix_of_the_server(form: str, prefix: str) -> None:
    site = Site(shop(), authz(RULES), form)
    extra = {"SCRIPT_NAME": prefix.encode().decode("latin-1")}
    targets = {"/items/1"}
    if site.world == "asgi":  # some servers put it in front, some do not
        extra = {"root_path": prefix}
        targets.add(prefix + "/items/1")
    for asked in targets:
        assert site.ask("GET", asked, bearer("viewer"), **extra).status == 200
        assert site.ask("GET", asked, bearer("writer"), **extra).status == 403
        rewritten = Site(shop(), authz(RULES), form, [rewriting(path="/notes/")])
        assert rewritten.ask("GET", asked, bearer("viewer"), **extra).status == 403
        assert rewritten.ask("GET", asked, bearer("viewer", "writer"), **extra).status == 200


@pytest.mark.parametrize("form", FORMS)
def test_a_forced_script_name(form: str) -> None:
    options = {"FORCE_SCRIPT_NAME": "/svc"}
    plain = Site(shop(), authz(RULES), form, options=options)
    assert plain.ask("GET", "/items/1", bearer("viewer")).status == 200
    site = Site(shop(), authz(RULES), form, [rewriting(path="/notes/")], options=options)
    assert site.ask("GET", "/items/1", bearer("viewer")).status == 403
    assert site.ask("GET", "/items/1", bearer("viewer", "writer")).status == 200


def mounts(form: str) -> Any:
    if form.endswith("wsgi"):
        return lambda handler: DispatcherMiddleware(handler, {"/dj": handler})
    routing = installed("starlette.routing")
    applications = installed("starlette.applications")
    return lambda handler: applications.Starlette(
        routes=[routing.Mount("/dj", handler), routing.Mount("", handler)]
    )


@pytest.mark.parametrize("prefix", ["", "/svc"])
@pytest.mark.parametrize("form", OUTSIDE)
def test_mounted_in_another_app(form: str, prefix: str) -> None:
    rules = {**RULES, "/dj/items/<int:id>": ["buyer"], "/dj/é": ["buyer"], "/dj": ["buyer"]}
    patterns = [*shop(), path("é", view), path("", view)]
    site = Site(patterns, authz(rules), form, around=mounts(form))
    # As gunicorn cuts it off, and as uvicorn puts it in front.
    wsgi = form.endswith("wsgi")
    extra = {"SCRIPT_NAME": prefix} if wsgi else {"root_path": prefix}
    front = "" if wsgi else prefix
    for asked, role in (
        ("/items/1", "viewer"),
        ("/dj/items/1", "buyer"),
        ("/dj/é", "buyer"),
        ("/dj/", "buyer"),
    ):
        for held in ("viewer", "buyer"):
            sent = site.ask("GET", front + asked, bearer(held), **extra)
            assert sent.status == (200 if held == role else 403), (asked, held)


@pytest.mark.parametrize("form", OUTSIDE)
def test_mounted_and_rewritten(form: str) -> None:
    rules = {"/dj/items/<int:id>": ["buyer"], "/dj/notes/**": ["writer"]}
    site = Site(shop(), authz(rules), form, [rewriting(path="/notes/")], around=mounts(form))
    assert site.ask("GET", "/dj/nowhere", bearer("buyer")).status == 403
    if site.world == "asgi":  # Starlette does not say what it has mounted
        with override_settings(**site.settings):
            site.authz.bind(site.handler)
    assert site.ask("GET", "/dj/items/1", bearer("buyer")).status == 403
    assert site.ask("GET", "/dj/items/1", bearer("buyer", "writer")).status == 200


# --- Gaps ---


@pytest.mark.parametrize("form", FORMS)
class TestGaps:
    def test_a_strict_policy_with_a_gap_serves_nothing(
        self, form: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = Site(shop(), authz(RULES, strict=True), form)
        for _ in range(2):
            assert site.ask("GET", "/items/1", bearer("viewer")).status == 503
        assert caplog.text.count("the policy cannot be served") == 1
        assert f"/own ({__name__}:Own): no rule covers it" in caplog.text

    def test_a_strict_policy_without_a_gap_serves(
        self, form: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = Site(shop(), authz({"/**": ["viewer"]}, strict=True), form)
        with caplog.at_level(logging.WARNING):
            assert site.ask("GET", "/items/1", bearer("viewer")).status == 200
        assert caplog.messages == []

    def test_gaps_are_logged_once(self, form: str, caplog: pytest.LogCaptureFixture) -> None:
        site = Site(shop(), authz({"/items/<int:id>": ["viewer"], "/gone": ["x"]}), form)
        for _ in range(2):
            assert site.ask("GET", "/items/1", bearer("viewer")).status == 200
        assert sum("`/gone` matches no route" in each for each in caplog.messages) == 1
        assert sum("/own" in each for each in caplog.messages) == 1

    @pytest.mark.parametrize(
        "headers",
        [[], bearer("viewer"), [("Authorization", "Bearer no.to.ken")]],
        ids=["nobody", "somebody", "invalid"],
    )
    def test_what_nobody_knows_is_left_to_the_app(
        self, form: str, headers: list[tuple[str, str]]
    ) -> None:
        site = Site(shop(), authz(RULES, unmatched="app"), form)
        sent = site.ask("GET", "/nowhere", headers)
        assert sent.status == 404
        assert b"urn:uuid:" not in sent.body
        for asked in ("/own", "/files/x.css"):  # the app would take it
            assert site.ask("GET", asked, headers).status in (401, 403)
        assert site.ask("POST", "/items/1", []).status == 401  # a rule takes it
        assert site.ask("GET", "//nowhere", headers).status == 400

    def test_without_unmatched_it_is_refused(self, form: str) -> None:
        site = Site(shop(), authz(RULES), form)
        assert site.ask("GET", "/nowhere", []).status == 401
        assert site.ask("GET", "/nowhere", bearer("viewer")).status == 403

    def test_a_route_behind_what_is_left_to_the_app_stays_closed(self, form: str) -> None:
        site = Site(shop(), authz(RULES, unmatched="app"), form, [rewriting(path="/own")])
        assert site.ask("GET", "/nowhere", []).status == 401
        assert site.ask("GET", "/nowhere", bearer("viewer", "admin")).status == 403

    def test_the_404_of_the_app_knows_its_caller(self, form: str) -> None:
        def telling(get_response: Any) -> Any:
            def middleware(request: Any) -> Any:
                get_response(request)
                return HttpResponseNotFound(repr(current_access()))

            return middleware

        site = Site(shop(), authz(RULES, unmatched="app"), form, [telling])
        assert b"subject='ann'" in site.ask("GET", "/nowhere", bearer("viewer")).body


def test_binding_by_hand_raises_for_a_gap() -> None:
    with serving(shop()), pytest.raises(PolicyError, match="no rule covers it"):
        authz(RULES, strict=True).bind(WSGIHandler())


def test_the_table_is_read_once_for_all_test_clients() -> None:
    guard = authz(RULES)
    with serving(shop(), AUTHZ_CONFIG=guard, MIDDLEWARE=Site([], guard).settings["MIDDLEWARE"]):
        for _ in range(3):
            assert Client().get("/items/1", headers=dict(bearer("viewer"))).status_code == 200
    assert len(guard.serving._bindings) == 1


def test_what_django_forgets_is_read_again() -> None:
    patterns = shop()
    middleware = Site([], authz({})).settings["MIDDLEWARE"]
    with serving(patterns, AUTHZ_CONFIG=authz({"/**": ["viewer"]}), MIDDLEWARE=middleware):
        headers = dict(bearer("viewer"))
        assert Client().get("/items/1", headers=headers).status_code == 200
        patterns.append(path("late", view))
        assert Client().get("/late", headers=headers).status_code == 403
        clear_url_caches()
        assert Client().get("/late", headers=headers).status_code == 200
