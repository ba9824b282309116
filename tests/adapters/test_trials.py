"""A policy on trial changes nothing that a client or the app can see."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from tests.adapters.exchange import (
    WORLDS,
    Recorder,
    ask,
    at_once,
    call_asgi,
    call_wsgi,
    environ_for,
    scope_for,
)

IDS = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PATHS = ("/health", "/me", "/closed", "/articles/1", "/users/x", "/nowhere", "//")

requirements = st.sampled_from(
    ["public", "authenticated", "deny", ["viewer"], ["admin"], {"scopes": ["pay"]}]
)
audiences = st.sampled_from(["orders-api", "another"])
candidates = st.tuples(
    st.dictionaries(st.sampled_from(["/**", "GET /health", "/me", "/<x>/<y>"]), requirements),
    audiences,
)


class Served:
    """A wrapped app, and all that a client and the app get to see, but for the ids of refusals."""

    def __init__(self, world: str, authz: Authz) -> None:
        self.app = Recorder()
        self.guard: Any = (
            WSGIAuthzMiddleware(self.app.wsgi, authz)
            if world == "wsgi"
            else ASGIAuthzMiddleware(self.app.asgi, authz)
        )

    def ask(self, path: str, headers: list[tuple[str, str]]) -> Any:
        self.app.seen.clear()
        sent = (
            call_wsgi(self.guard, environ_for("GET", path, headers), validated=False)
            if isinstance(self.guard, WSGIAuthzMiddleware)
            else call_asgi(self.guard, scope_for("GET", path, headers), run=at_once)
        )
        told = [(each.decision, each.principal, each.credentials) for each in self.app.seen]
        return sent.status, sent.headers, IDS.sub(b"id", sent.body), told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trials")


@pytest.mark.parametrize("world", WORLDS)
@settings(max_examples=12)  # each compiles three policies
@given(candidate=candidates, token=st.sampled_from([None, "viewer", "admin", "broken"]))
def test_a_candidate_changes_no_response(
    world: str,
    folder: Path,
    policy: dict[str, Any],
    clock: Any,
    issuer: Any,
    candidate: Any,
    token: str | None,
) -> None:
    routes, audience = candidate
    other = {"issuers": [issuer.policy_issuer(audience=[audience])], "routes": routes}
    (folder / "next.json").write_text(json.dumps(other))
    # In turn under one name, which stands in what is decided.
    (folder / "authz.json").write_text(json.dumps(policy))
    alone = Authz.from_file(folder / "authz.json", clock=clock)
    (folder / "authz.json").write_text(json.dumps({**policy, "candidate": "next.json"}))
    both = Authz.from_file(folder / "authz.json", clock=clock)
    headers: list[tuple[str, str]] = []
    if token is not None:
        text = "x.y.z" if token == "broken" else issuer.mint("ann", roles=[token])
        headers = [("Authorization", f"Bearer {text}")]
    served = [Served(world, authz) for authz in (alone, both)]
    for path in PATHS:
        answers = [each.ask(path, headers) for each in served]
        assert answers[0] == answers[1]
    (counts,) = both.trials(30)
    assert counts.same + counts.allow_to_deny + counts.deny_to_allow == len(PATHS)


READS = {
    "a field": ('context.headers["x-team"] == "red"', True),
    "every field": ("context.headers.exists(name, name == 'x-team')", True),
    "the query": ('"red" in context.query.team', False),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("when", "allows"), READS.values(), ids=READS)
@pytest.mark.parametrize("tried", ["shadow", "candidate"])
def test_what_only_a_trial_reads_of_a_request_is_there(
    world: str,
    folder: Path,
    policy: dict[str, Any],
    clock: Any,
    issuer: Any,
    when: str,
    allows: bool,
    tried: str,
) -> None:
    """The policy in force reads no header and no query."""
    needs = {"roles": ["viewer"], "when": when}
    whole = {**policy, "routes": {**policy["routes"], "GET /me": needs}}
    (folder / "reading.json").write_text(json.dumps(whole))
    shadow = {"roles": ["viewer"], "all": [{"when": when, "mode": "shadow"}]}
    both: dict[str, Any] = (
        {**policy, "candidate": "reading.json"}
        if tried == "candidate"
        else {**policy, "routes": {**policy["routes"], "GET /me": shadow}}
    )
    (folder / "read.json").write_text(json.dumps(both))
    authz = Authz.from_file(folder / "read.json", clock=clock)
    token = ("Authorization", f"Bearer {issuer.mint('ann', roles=['viewer'])}")
    for headers in ([token, ("X-Team", "red")], [token]):
        assert ask(world, authz, "GET", "/me", headers).status == 200
    (counts,) = authz.trials(30)
    assert (counts.same, counts.allow_to_deny) == ((1, 1) if allows else (0, 2))


@pytest.mark.parametrize("world", WORLDS)
def test_what_would_change_is_counted(
    world: str, folder: Path, policy: dict[str, Any], clock: Any, issuer: Any
) -> None:
    routes = {**policy["routes"], "GET /me": ["admin"], "GET /closed": ["viewer"]}
    (folder / "stricter.json").write_text(json.dumps({**policy, "routes": routes}))
    part = {"roles": ["viewer"], "all": [{"roles": ["admin"], "mode": "shadow"}]}
    whole = {
        **policy,
        "routes": {**policy["routes"], "GET /articles/<int:id>": part},
        "candidate": "stricter.json",
    }
    (folder / "tried.json").write_text(json.dumps(whole))
    authz = Authz.from_file(folder / "tried.json", clock=clock)
    token = [("Authorization", f"Bearer {issuer.mint('ann', roles=['viewer'])}")]
    statuses = [
        ask(world, authz, "GET", path, token).status
        for path in ("/me", "/closed", "/articles/1", "/health")
    ]
    assert statuses == [200, 403, 200, 200]
    shadow, candidate = authz.trials(30)
    assert (shadow.name, shadow.same, shadow.allow_to_deny) == ("shadow", 3, 1)
    assert (candidate.name, candidate.same) == ("stricter.json", 2)
    assert (candidate.allow_to_deny, candidate.deny_to_allow) == (1, 1)
