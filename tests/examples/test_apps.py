"""The examples do what they are for, and their policy is one."""

from __future__ import annotations

import json

import pytest
from django.core.checks import run_checks

from authz_middleware import PolicyError
from authz_middleware.testing import run_policy_tests
from examples.demo.expectations import authorization, expectations
from tests.examples import callers
from tests.examples.callers import EXAMPLES, call_asgi, call_wsgi

APPS = {
    "FastAPI": ("fastapi_app.app:app", call_asgi),
    "Flask": ("flask_app.app:app", call_wsgi),
    "Starlette": ("starlette_app.app:app", call_asgi),
    "Django under WSGI": ("django_app.wsgi:application", call_wsgi),
    "Django under ASGI": ("django_app.asgi:application", call_asgi),
}
NAMES = sorted({target.partition(".")[0] for target, _ in APPS.values()})
CALLERS = ["django_app.views:caller", "flask_app.app:caller"]


@pytest.fixture(params=APPS.values(), ids=list(APPS))
def example(request, load, issuer):
    """Return what sends a request to one of the examples, as a caller with these roles."""
    target, call = request.param
    app = load(target)

    def ask(method, target, subject="ann", *, roles=(), **claims):
        return call(app, method, target, f"Bearer {issuer.mint(subject, roles=roles, **claims)}")

    return ask


def test_all_have_the_same_policy():
    assert len({(EXAMPLES / name / "authz.toml").read_bytes() for name in NAMES}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_policys_own_tests_pass(name):
    report = run_policy_tests(EXAMPLES / name / "authz.toml")
    assert report.results
    assert report.ok, str(report)


@pytest.mark.parametrize(("target", "call"), APPS.values(), ids=APPS)
def test_every_request_of_the_demonstration(target, call, load, issuer):
    app = load(target)
    headers = authorization(issuer)
    wrong = []
    for expected in expectations():
        # Neither WSGI nor Django itself serves WebSockets.
        if expected.method == "WS" and not target.startswith("fastapi"):
            continue
        answer = call(app, expected.method, expected.target, headers[expected.caller])
        if answer.status != expected.status:
            wrong.append((*expected, answer.status))
    assert wrong == []


@pytest.mark.parametrize("target", [target for target, _ in APPS.values()], ids=APPS)
def test_a_bad_policy_stops_the_import(target, load, tmp_path):
    (tmp_path / "authz.toml").write_text('[routes]\n"GET /health" = "pubic"\n')
    with pytest.raises(PolicyError, match=r"authz\.toml:2:1: "):
        load(target)


def test_callers_are_told_who_they_are(example):
    assert example("GET", "/me", "eddy", roles=["editor"]).json() == {
        "subject": "eddy",
        "name": "Eddy Ems",
        "roles": ["editor", "viewer"],
        "can_publish": False,
    }
    assert example("GET", "/me", "who", roles=["admin"]).json()["can_publish"] is True


def test_the_export_is_signed_while_it_is_sent(example):
    answer = example("GET", "/articles.csv", "eddy", roles=["viewer"], scope="read export")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.body.decode().splitlines() == [
        "id,title,author,published",
        "1,A draft about harbours,eddy,False",
        "2,Harbour opens,ada,True",
        "3,Harbour closes,ada,True",
        "# exported by eddy",
    ]


def test_whoever_writes_an_article_is_its_author(example):
    written = example("POST", "/articles", "eddy", roles=["editor"]).json()
    assert written == {
        "id": 4,
        "title": "Harbour opens again",
        "author": "eddy",
        "published": False,
    }
    assert example("GET", "/articles/4", roles=["viewer"]).json() == written
    assert example("GET", "/articles", roles=["viewer"]).json()[-1] == written


def test_what_is_published_takes_another_permission(example):
    assert example("PUT", "/articles/1", roles=["editor"]).status == 200
    refused = example("PUT", "/articles/2", roles=["editor"])
    assert refused.status == 403
    assert refused.headers["www-authenticate"].startswith('Bearer realm="newsroom", ')
    assert refused.json()["error"] == "insufficient_scope"
    assert example("GET", "/articles/2", roles=["viewer"]).json()["title"] == "Harbour opens"
    assert example("PUT", "/articles/2", roles=["admin"]).json()["title"] == "Harbour opens again"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_is_not_there_is_not_found(example, method):
    assert example(method, "/articles/99", roles=["admin"]).status == 404


def test_users_are_for_admins(example):
    assert example("GET", "/admin/users", roles=["admin"]).json()["ada"] == "Ada Arndt"
    assert example("GET", "/admin/users", roles=["editor"]).status == 403


@pytest.mark.parametrize("name", ["fastapi_app", "starlette_app"])
def test_the_feed_sends_all_articles_and_then_the_one_asked_for(name, load, issuer):
    header = f"Bearer {issuer.mint(roles=['viewer'])}"
    answer = call_asgi(load(f"{name}.app:app"), "WS", "/feed", header)
    listing, article = map(json.loads, answer.body.decode().splitlines())
    assert [entry["id"] for entry in listing] == [1, 2, 3]
    assert article == listing[0]


def test_admins_read_what_is_asked_of_each_operation(load, issuer):
    app = load("fastapi_app.app:app")
    header = f"Bearer {issuer.mint(roles=['admin'])}"
    paths = call_asgi(app, "GET", "/admin/openapi.json", header).json()["paths"]
    assert paths["/health"]["get"]["security"] == []
    assert paths["/articles/{article_id}"]["put"]["description"].endswith(
        "**Access:** the permission `article:write`."
    )
    assert paths["/metrics"]["get"]["description"].endswith("**Access:** nobody.")
    header = f"Bearer {issuer.mint(roles=['editor'])}"
    assert call_asgi(app, "GET", "/admin/openapi.json", header).status == 403


@pytest.mark.parametrize("name", ["starlette_app", "fastapi_app"])
@pytest.mark.parametrize("body", [b"[]", b"{", b'{"title": 1}'])
def test_what_is_no_draft_is_refused(body, name, load, issuer, monkeypatch):
    monkeypatch.setattr("tests.examples.callers.BODY", body)
    header = f"Bearer {issuer.mint(roles=['editor'])}"
    assert call_asgi(load(f"{name}.app:app"), "POST", "/articles", header).status in (400, 422)


@pytest.mark.parametrize("caller", CALLERS)
def test_a_handler_that_needs_a_caller_raises_without_one(caller, load):
    with pytest.raises(RuntimeError, match="no verified caller"):
        load(caller)()


@pytest.mark.parametrize("target", [target for target, _ in APPS.values()], ids=APPS)
def test_the_readme_is_short_and_names_the_server(target):
    text = (EXAMPLES / target.partition(".")[0] / "README.md").read_text()
    assert len(text.splitlines()) <= 16
    assert f"examples.{target}" in text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"title": 1}'])
def test_what_is_no_draft_is_the_clients_mistake(body, load, issuer, monkeypatch):
    monkeypatch.setattr(callers, "BODY", body)
    token = f"Bearer {issuer.mint(roles=['editor'])}"
    for target, call in APPS.values():
        assert 400 <= call(load(target), "POST", "/articles", token).status < 500


def test_djangos_checks_name_what_the_policy_for_all_apps_misses(load):
    load("django_app.settings:AUTHZ_CONFIG")
    route, rule = run_checks()
    assert (route.id, rule.id) == ("authz.W004", "authz.W004")
    assert route.msg == "/metrics (examples.django_app.views:metrics): no rule covers it."
    assert rule.msg.endswith("`WS /feed` matches no route.")  # Django has no WebSockets
