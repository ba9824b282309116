"""The system checks: what each says, and their ids, which are permanent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import path

from authz_middleware.django import AuthzMiddleware, checks
from tests.django.projects import OURS, named

CACHE = "django.middleware.cache"
CORS = "corsheaders.middleware.CorsMiddleware"


def found(config, middleware=(OURS,), **options):
    with override_settings(AUTHZ_CONFIG=config, MIDDLEWARE=[*middleware], **options):
        return checks.check(None)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("AUTHZ_CONFIG", raising=False)


def test_a_project_without_mistakes(authz):
    assert found(authz) == []


# The whole list of ids. One may be added; none is ever changed, or used for something else.
CASES: dict[str, tuple[Any, list[str]]] = {
    "authz.E001": (None, [OURS]),
    "authz.E002": ({"routes": {}}, [OURS]),
    "authz.E003": ("good", []),
    "authz.E004": ("good", [f"{CACHE}.FetchFromCacheMiddleware", OURS]),
    "authz.W001": ("good", [OURS, OURS]),
    "authz.W002": ("good", [OURS, CORS]),
    "authz.W003": ("good", [OURS, f"{CACHE}.UpdateCacheMiddleware"]),
    "authz.W004": ({}, [OURS]),
    "authz.E005": ({"strict": True}, [OURS]),
}
GAPS = ("authz.W004", "authz.E005")
URLS = type("Urls", (), {"urlpatterns": [path("notes", lambda request: HttpResponse())]})


@pytest.mark.parametrize("id", CASES)
def test_each_id(id, authz, issuer):
    config, middleware = CASES[id]
    options = {}
    if id in GAPS:
        config = {"issuers": [issuer.policy_issuer()], "routes": {}, **config}
        options["ROOT_URLCONF"] = URLS
    [message] = found(authz if config == "good" else config, middleware, **options)
    assert (message.id, message.is_serious()) == (id, id[6] == "E")
    assert message.hint


def test_the_ids_are_all_there_are():
    source = Path(checks.__file__).read_text()
    assert set(re.findall(r'id="([^"]+)"', source)) == CASES.keys()


def test_every_problem_of_the_policy_with_its_place_and_its_fix(tmp_path):
    file = tmp_path / "authz.toml"
    file.write_text('realm = "x"\n[routes]\n"GET /health" = "pubic"\n"/x//y" = "public"\n')
    messages = found(file)
    assert {message.id for message in messages} == {"authz.E002"}
    assert len(messages) == 3
    texts = [message.msg for message in messages]
    assert any("authz.toml:3:" in text and "pubic" in text for text in texts)
    assert any("authz.toml:4:" in text for text in texts)
    assert all(message.hint for message in messages)


def test_every_gap_with_its_place(issuer):
    routes = {"/notes/**": ["a"], "/gone": ["b"]}
    policy = {"issuers": [issuer.policy_issuer()], "routes": routes}
    [message] = found(policy, ROOT_URLCONF=URLS)
    assert message.id == "authz.W004"
    assert "`/gone` matches no route" in message.msg
    del routes["/gone"], routes["/notes/**"]
    [message] = found(policy, ROOT_URLCONF=URLS)
    assert "/notes" in message.msg
    assert "no rule covers it" in message.msg
    routes["/notes"] = ["a"]
    assert found(policy, ROOT_URLCONF=URLS) == []


@pytest.mark.parametrize("named", [["nowhere.urls"], "shop.urls", ["tests.django.projects"]])
def test_an_urlconf_that_is_none(authz, named):
    [message] = found(authz, AUTHZ_URLCONFS=named, ROOT_URLCONF=URLS)
    assert message.id == "authz.E002"
    assert message.msg.startswith("AUTHZ_URLCONFS: ")
    assert message.hint


def test_a_file_that_is_not_there():
    [message] = found("nowhere/authz.toml")
    assert message.id == "authz.E002"
    assert "nowhere" in message.msg


def test_what_is_no_policy_at_all():
    [message] = found(7)
    assert message.id == "authz.E002"


def test_the_environment_will_do(policy, tmp_path, monkeypatch):
    (tmp_path / "authz.json").write_text(json.dumps(policy))
    monkeypatch.setenv("AUTHZ_CONFIG", str(tmp_path / "authz.json"))
    assert found(None) == []


class Subclass(AuthzMiddleware):
    """A project's own."""


def test_a_subclass_is_ours(authz):
    assert found(authz, [named(Subclass)]) == []


@pytest.mark.parametrize(
    "middleware",
    [
        [CORS, OURS],
        [f"{CACHE}.UpdateCacheMiddleware", OURS],
        ["django.contrib.sessions.middleware.SessionMiddleware", OURS],
        [OURS, "django.middleware.common.CommonMiddleware"],
        [OURS, "no.such.Middleware"],
        [OURS, "tests.django.projects.named"],
    ],
)
def test_an_order_that_is_well(middleware, authz):
    assert found(authz, middleware) == []


def test_both_caches_around_us(authz):
    middleware = [
        f"{CACHE}.UpdateCacheMiddleware",
        OURS,
        f"{CACHE}.FetchFromCacheMiddleware",
    ]
    assert [message.id for message in found(authz, middleware)] == ["authz.W003"]


def test_the_app_registers_them_and_manage_py_shows_them(tmp_path):
    """Also where the policy stops the middleware from loading."""
    options = {
        "INSTALLED_APPS": ["authz_middleware.django"],
        "AUTHZ_CONFIG": tmp_path / "nowhere.toml",
        "MIDDLEWARE": [OURS],
        "ROOT_URLCONF": "tests.django.urls",
    }
    with override_settings(**options):
        assert [each.id for each in run_checks(tags=["authz"])] == ["authz.E002"]
        assert "authz.E002" in {each.id for each in run_checks(tags=[Tags.security])}
        with pytest.raises(SystemCheckError, match=r"authz\.E002.*nowhere\.toml"):
            call_command("check")
        with override_settings(SILENCED_SYSTEM_CHECKS=["authz.E002"]):
            call_command("check")
