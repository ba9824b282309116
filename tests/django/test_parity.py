"""Django's middleware answers as the adapters around a whole app do."""

from __future__ import annotations

import logging
import re

import pytest

from tests.adapters import exchange
from tests.adapters.test_answers import CASES, _id
from tests.django.projects import HANDLERS, VIEWS, WORLDS, Project, ask

UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def shown(sent):
    """All that a client sees, but for the id of the refusal."""
    return sent.status, sorted(sent.headers), UUID.sub(b"ID", sent.body)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", HANDLERS)
@pytest.mark.parametrize("case", [case for case in CASES if not case[0].startswith("WS")], ids=_id)
def test_every_answer(case, world, view, authz, callers):
    request, caller, status, _ = case
    method, _, path = request.partition(" ")
    with Project(authz, view=view) as project:
        sent = ask(world, method, path, callers[caller])
    assert (sent.status, len(project.seen)) == (status, int(status == 200))
    if status != 200:
        assert shown(sent) == shown(exchange.ask(world, authz, method, path, callers[caller]))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("request_line", "caller", "status"),
    [
        ("GET /health", "nobody", 200),
        ("GET /me", "nobody", 401),
        ("GET /me", "malformed", 400),
        ("GET /me", "expired", 401),
        ("GET /me", "editor", 200),
        ("HEAD /me", "editor", 200),
        ("HEAD /me", "nobody", 401),
        ("GET /articles/1", "no roles", 403),
        ("POST /transfers", "half a payer", 403),
        ("GET /nowhere", "admin", 403),
    ],
)
def test_under_djangos_own_clients(request_line, caller, status, world, view, authz, callers):
    method, _, path = request_line.partition(" ")
    with Project(authz, view=view) as project:
        sent = ask(world, method, path, callers[caller])
    assert (sent.status, len(project.seen)) == (status, int(status == 200))
    if status != 200:
        assert bool(sent.body) == (method != "HEAD")


@pytest.mark.parametrize("world", HANDLERS)
@pytest.mark.parametrize("accept", ["text/plain", "application/json", "*/*"])
def test_the_body_that_is_asked_for(world, accept, authz):
    headers = [("Accept", accept)]
    with Project(authz):
        sent = ask(world, "GET", "/me", headers)
    assert shown(sent) == shown(exchange.ask(world, authz, "GET", "/me", headers))


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("world", HANDLERS)
def test_a_refusal_is_no_error_for_django(world, status, authz, callers, caplog):
    caller = {400: "twice", 401: "nobody", 403: "no roles"}[status]
    with Project(authz):
        assert ask(world, "GET", "/articles/1", callers[caller]).status == status
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
