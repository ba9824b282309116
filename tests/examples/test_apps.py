"""Both examples do what they are for, and their policy is one."""

from __future__ import annotations

import json

import pytest

from authz_middleware import PolicyError
from authz_middleware.testing import run_policy_tests
from examples.demo.expectations import authorization, expectations
from tests.examples.callers import EXAMPLES, call_asgi, call_wsgi

APPS = [("fastapi_app", call_asgi), ("flask_app", call_wsgi)]


@pytest.fixture(params=APPS, ids=["FastAPI", "Flask"])
def example(request, load, issuer):
    """Return what sends a request to one of the examples, as a caller with these roles."""
    name, call = request.param
    app = load(name).app

    def ask(method, target, subject="ann", *, roles=(), **claims):
        return call(app, method, target, f"Bearer {issuer.mint(subject, roles=roles, **claims)}")

    return ask


def test_both_have_the_same_policy():
    fastapi, flask = (EXAMPLES / name / "authz.toml" for name in ("fastapi_app", "flask_app"))
    assert fastapi.read_bytes() == flask.read_bytes()


@pytest.mark.parametrize("name", ["fastapi_app", "flask_app"])
def test_the_policys_own_tests_pass(name):
    report = run_policy_tests(EXAMPLES / name / "authz.toml")
    assert report.results
    assert report.ok, str(report)


@pytest.mark.parametrize(("name", "call"), APPS, ids=["FastAPI", "Flask"])
def test_every_request_of_the_demonstration(name, call, load, issuer):
    app = load(name).app
    headers = authorization(issuer)
    wrong = []
    for expected in expectations():
        if expected.method == "WS" and call is call_wsgi:
            continue
        answer = call(app, expected.method, expected.target, headers[expected.caller])
        if answer.status != expected.status:
            wrong.append((*expected, answer.status))
    assert wrong == []


@pytest.mark.parametrize("name", ["fastapi_app", "flask_app"])
def test_a_bad_policy_stops_the_import(name, load, tmp_path):
    (tmp_path / "authz.toml").write_text('[routes]\n"GET /health" = "pubic"\n')
    with pytest.raises(PolicyError, match=r"authz\.toml:2:1: "):
        load(name)


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


def test_the_feed_sends_all_articles_and_then_the_one_asked_for(load, issuer):
    header = f"Bearer {issuer.mint(roles=['viewer'])}"
    answer = call_asgi(load("fastapi_app").app, "WS", "/feed", header)
    listing, article = map(json.loads, answer.body.decode().splitlines())
    assert [entry["id"] for entry in listing] == [1, 2, 3]
    assert article == listing[0]


@pytest.mark.parametrize("name", ["fastapi_app", "flask_app"])
def test_a_handler_that_needs_a_caller_raises_without_one(name, load):
    with pytest.raises(RuntimeError, match="no verified caller"):
        load(name).caller()


@pytest.mark.parametrize("name", ["fastapi_app", "flask_app"])
def test_the_readme_is_short_and_names_the_server(name):
    text = (EXAMPLES / name / "README.md").read_text()
    assert len(text.splitlines()) <= 16
    assert f"examples.{name}.app:app" in text
