from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz, PolicyError
from authz_middleware.access import Access
from authz_middleware.answers import Refusal
from authz_middleware.effects import Admit, Refuse
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import Decision
from authz_middleware.observe import DecisionEvent
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime.authz import compiled, not_loaded
from tests.runtime.asking import Asked, ask, ask_async, became, policy, request, table
from tests.runtime.provider import Clock
from tests.tokens.minting import ISSUER, NOW, jwk, mint

KEYS = {"keys": [jwk("ES256", kid="a")]}
NOTHING: dict[str, Any] = {
    "loaders": None,
    "observers": (),
    "clock": None,
    "store": None,
    "renderer": None,
}


class Recorder:
    def __init__(self) -> None:
        self.events: list[DecisionEvent] = []

    def observe(self, event: DecisionEvent) -> None:
        self.events.append(event)


class Plain:
    """A renderer that leaves everything as it is."""

    def render(self, refusal: Refusal) -> None:
        return None


class Later:
    """What nobody would await."""

    def __repr__(self) -> str:
        return "Later()"

    async def render(self, refusal: Refusal) -> None: ...

    async def observe(self, event: DecisionEvent) -> None: ...


def made(clock: Clock, *observers: Any, **top: Any) -> Authz:
    return Authz.from_mapping(policy(**top), clock=clock, observers=observers)


# Where a policy comes from


TOML = f"""
[[issuers]]
issuer = "{ISSUER}"
audience = ["orders"]
jwks_file = "keys.json"

[routes]
"GET /me" = "authenticated"
"""
DOCUMENT = {
    "issuers": [{"issuer": ISSUER, "audience": ["orders"], "jwks_file": "keys.json"}],
    "routes": {"GET /me": "authenticated"},
}
YAML = f"""
issuers:
  - issuer: {ISSUER}
    audience: [orders]
    jwks_file: keys.json
routes:
  GET /me: authenticated
"""
FILES = [
    ("authz.toml", TOML),
    ("authz.json", json.dumps(DOCUMENT)),
    ("authz.yaml", YAML),
    ("authz.yml", YAML),
]


def found(config: None) -> list[Authz]:
    """What is compiled where no path is given, in each of the ways."""
    return [compiled(config, **NOTHING), Authz.from_file(), Authz.from_file(config)]


def test_without_a_path_the_environment_names_the_file(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "orders.toml").write_text(TOML)
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    monkeypatch.setenv("AUTHZ_CONFIG", str(tmp_path / "orders.toml"))
    assert {authz.source for authz in found(None)} == {str(tmp_path / "orders.toml")}


@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
@pytest.mark.parametrize("make", [lambda: compiled(None, **NOTHING), Authz.from_file])
def test_without_a_path_or_the_variable_nothing_is_looked_for(
    tmp_path: Path, monkeypatch, make, value: str | None
) -> None:
    """Not even an authz.toml that happens to be here."""
    (tmp_path / "authz.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTHZ_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("AUTHZ_CONFIG", value)
    with pytest.raises(PolicyError) as raised:
        make()
    assert str(raised.value) == (
        "config=: no policy: none is given, and the variable AUTHZ_CONFIG is not set, or empty;"
        " give a path, or set AUTHZ_CONFIG to one"
    )


@pytest.mark.parametrize(("name", "text"), FILES)
@pytest.mark.parametrize("made_by", ["from_file", "compiled"])
@pytest.mark.parametrize("as_", [str, Path])
def test_a_file_and_what_is_beside_it(
    tmp_path: Path, clock: Clock, monkeypatch, name: str, text: str, made_by: str, as_: Any
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (tmp_path / name).write_text(text)
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    path = as_(tmp_path / name)
    authz = (
        Authz.from_file(path, clock=clock)
        if made_by == "from_file"
        else compiled(path, **(NOTHING | {"clock": clock}))
    )
    assert became(authz.serving.outcome(*request(token=mint()))) == "in"
    assert became(authz.serving.outcome(*request(token=mint(aud="x")))) == "invalid_token"
    assert repr(authz) == f"Authz({str(path)!r})"


@pytest.mark.parametrize("made_by", ["from_mapping", "compiled"])
def test_a_mapping_and_the_working_directory(
    tmp_path: Path, clock: Clock, monkeypatch, made_by: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    authz = (
        Authz.from_mapping(DOCUMENT, clock=clock)
        if made_by == "from_mapping"
        else compiled(DOCUMENT, **(NOTHING | {"clock": clock}))
    )
    assert became(authz.serving.outcome(*request(token=mint()))) == "in"
    assert repr(authz) == "Authz('<mapping>')"


def test_a_file_is_read_once(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "authz.toml").write_text(TOML)
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    authz = Authz.from_file(tmp_path / "authz.toml", clock=clock)
    (tmp_path / "authz.toml").unlink()
    (tmp_path / "keys.json").unlink()
    assert became(authz.serving.outcome(*request(token=mint()))) == "in"


def test_the_callers_mapping_is_not_ours(clock: Clock) -> None:
    mapping = policy()
    mapping["routes"] = dict(mapping["routes"])
    authz = Authz.from_mapping(mapping, clock=clock)
    mapping["routes"]["GET /closed"] = "public"
    mapping["issuers"].clear()
    assert became(authz.serving.outcome(*request("/closed"))) == "no_credentials"
    assert became(authz.serving.outcome(*request(token=mint()))) == "in"


def test_a_missing_file_is_a_policy_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no such file"):
        compiled(tmp_path / "authz.toml", **NOTHING)
    (tmp_path / "authz.toml").write_text(TOML)
    with pytest.raises(PolicyError, match=r"authz\.toml:5:1: `jwks_file` cannot be read"):
        compiled(tmp_path / "authz.toml", **NOTHING)


def test_without_a_clock_it_is_now() -> None:
    authz = Authz.from_mapping(policy())
    assert authz.serving.clock is time.time
    assert became(authz.serving.outcome(*request(token=mint()))) == "invalid_token"
    assert became(authz.serving.outcome(*request(token=mint(exp=time.time() + 60)))) == "in"


# Arguments


@pytest.mark.parametrize("name", ["store"])
@pytest.mark.parametrize("value", [{}, object()], ids=["empty", "any"])
def test_what_is_not_built_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    """An argument that does nothing would be a hole."""
    given = {name: value}
    (tmp_path / "authz.json").write_text(json.dumps(policy()))
    for make in (
        lambda: Authz.from_mapping(policy(), **given),
        lambda: Authz.from_file(tmp_path / "authz.json", **given),
        lambda: compiled(policy(), **(NOTHING | given)),
    ):
        with pytest.raises(PolicyError, match=f"^{name}=: `{name}` is not supported in this"):
            make()


LOADERS: dict[str, Any] = {
    "no mapping": [print],
    "no callable": {"article": "load_article"},
    "no name": {"": print},
    "a number": {1: print},
}


@pytest.mark.parametrize("given", LOADERS.values(), ids=LOADERS)
def test_what_could_never_load_is_refused_at_start(given: Any) -> None:
    with pytest.raises(TypeError, match="loader"):
        Authz.from_mapping(policy(), loaders=given)


def test_a_loader_that_nobody_asks_is_named(caplog: pytest.LogCaptureFixture) -> None:
    Authz.from_mapping(policy(), loaders={"article": print})
    assert [each.getMessage() for each in caplog.records] == [
        "the loader 'article' is registered, but no rule names it"
    ]


def test_an_authz_is_taken_as_it_is() -> None:
    authz = Authz.from_mapping(policy())
    assert compiled(authz, **NOTHING) is authz
    assert compiled(authz, **(NOTHING | {"observers": []})) is authz


@pytest.mark.parametrize(
    "given",
    [
        {"loaders": {}},
        {"observers": [Recorder()]},
        {"clock": time.time},
        {"store": object()},
        {"renderer": Plain()},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_belongs_to_the_authz_is_not_given_twice(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"belong to the Authz.*Authz\.from_file"):
        compiled(Authz.from_mapping(policy()), **(NOTHING | given))


def test_observers_and_clock_reach_the_authz(clock: Clock) -> None:
    recorder = Recorder()
    authz = compiled(policy(), **(NOTHING | {"observers": [recorder], "clock": clock}))
    admitted(authz, request("/health"))
    assert [event.at for event in recorder.events] == [NOW]


# Observers


def admitted(authz: Authz, asked: Asked) -> Access:
    outcome, facts = authz.serving.outcome(*asked), asked[0]
    assert isinstance(outcome, Admit)
    return authz.serving.admitted(facts, outcome, None)


def refused(authz: Authz, asked: Asked) -> Any:
    outcome, facts = authz.serving.outcome(*asked), asked[0]
    assert isinstance(outcome, Refuse)
    return authz.serving.refused(facts, outcome, None)


def instance(answer: Any) -> str:
    """Return the id that the client was given."""
    return json.loads(answer.body)["instance"].removeprefix("urn:uuid:")


def test_observers_are_told_of_what_is_let_in(clock: Clock) -> None:
    one, other = Recorder(), Recorder()
    authz = made(clock, one, other)
    access = admitted(authz, request(token=mint()))
    (event,) = one.events
    assert other.events == one.events
    assert event == DecisionEvent(
        id="",
        at=NOW,
        kind="http",
        method="GET",
        path="/me",
        decision=access.decision,
        subject="ann",
        issuer=ISSUER,
    )


def test_observers_are_told_of_what_is_refused(clock: Clock) -> None:
    recorder = Recorder()
    authz = made(clock, recorder)
    answers = [
        refused(authz, request("/closed", mint())),
        refused(authz, request(token=mint(exp=1))),
        refused(authz, request(None)),
    ]
    assert [answer.status for answer in answers] == [403, 401, 400]
    assert [
        (event.decision.reason, event.decision.detail, event.subject, event.path)
        for event in recorder.events
    ] == [
        ("denied_by_rule", "", "ann", "/closed"),
        ("invalid_token", "expired", None, "/me"),
        ("path_ambiguous", "", None, None),
    ]
    ids = [event.id for event in recorder.events]
    assert ids == [instance(answer) for answer in answers]  # finds the log line
    assert len({UUID(each) for each in ids}) == 3


class Failing:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def observe(self, event: DecisionEvent) -> None:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), MemoryError()], ids=repr)
def test_an_observer_that_fails_changes_nothing(clock: Clock, caplog, error: Exception) -> None:
    recorder = Recorder()
    authz = made(clock, Failing(error), recorder)
    assert admitted(authz, request(token=mint())).principal is not None
    assert refused(authz, request()).status == 401
    access = admitted(authz, request(token=mint()))
    with pytest.raises(AccessDenied):
        access.require("article:write")
    assert len(recorder.events) == 4  # those after it are told
    assert caplog.text.count("an observer failed; the decision stands") == 4


def test_a_log_that_fails_changes_nothing(clock: Clock, monkeypatch, caplog) -> None:
    """A filter of the operator raises for our lines, and again when we complain."""

    class Broken:
        def filter(self, record: object) -> bool:
            raise ValueError

    monkeypatch.setattr(LOGGER, "filters", [Broken()])
    caplog.set_level("DEBUG", LOGGER.name)
    recorder = Recorder()
    authz = made(clock, recorder)
    assert admitted(authz, request(token=mint())).credentials == "valid"
    assert refused(authz, request()).status == 401
    assert len(recorder.events) == 2


def test_whoever_stops_the_process_is_not_an_observer_that_fails(clock: Clock) -> None:
    with pytest.raises(KeyboardInterrupt):
        admitted(made(clock, Failing(KeyboardInterrupt())), request("/health"))


# What a handler asks


def test_permissions_of_a_handler(clock: Clock) -> None:
    recorder = Recorder()
    access = admitted(made(clock, recorder), request(token=mint(roles=["editor"])))
    recorder.events.clear()
    assert access.allows("article:read")
    assert access.allows("article:write", resource={"owner": "ann"})
    assert not access.allows("user:write")
    asked = [(event.asked, event.decision.allowed, event.id) for event in recorder.events]
    assert asked == [
        ("article:read", True, ""),
        ("article:write", True, ""),
        ("user:write", False, ""),  # a question that is answered is no refusal
    ]
    recorder.events.clear()
    access.require("article:write", resource={"owner": "ann"})
    with pytest.raises(AccessDenied) as denied:
        access.require("user:write")
    assert denied.value.answer.status == 403
    assert denied.value.answer is access.denied
    assert denied.value.decision == Decision(
        False,
        "permission_missing",
        access.decision.rule,
        missing=("user:write",),
        nearest_miss="needs the permission `user:write`; has article:*, article:read",
    )
    assert [(event.asked, event.decision.allowed) for event in recorder.events] == [
        ("article:write", True),
        ("user:write", False),
    ]
    assert recorder.events[0].id == ""
    assert recorder.events[1].id == instance(denied.value.answer)


def test_nothing_is_allowed_once_the_token_has_expired(clock: Clock) -> None:
    access = admitted(made(clock), request(token=mint(roles=["editor"], exp=NOW + 60)))
    leeway = 30
    clock.now = NOW + 60 + leeway - 1
    assert access.allows("article:read")
    clock.now += 1
    assert not access.allows("article:read")
    with pytest.raises(AccessDenied) as denied:
        access.require("article:read")
    assert denied.value.answer.status == 401
    assert denied.value.decision.detail == "expired"


ANONYMOUS = [
    pytest.param(None, 401, "no_credentials", id="absent"),
    pytest.param(b"a b", 400, "malformed_authorization", id="malformed"),
    pytest.param("a.b.c", 401, "invalid_token", id="invalid"),
]


@pytest.mark.parametrize(("token", "status", "reason"), ANONYMOUS)
def test_an_anonymous_caller_is_allowed_nothing(
    clock: Clock, token: Any, status: int, reason: str
) -> None:
    access = admitted(made(clock), request("/health", token))
    assert access.principal is None
    assert not access.allows("article:read")
    with pytest.raises(AccessDenied) as denied:
        access.require("article:read")
    assert (denied.value.answer.status, denied.value.decision.reason) == (status, reason)


def test_keys_out_of_reach_are_not_the_callers_fault(clock: Clock) -> None:
    authz = Authz.from_mapping(
        policy(table(jwks_uri="http://127.0.0.1:9/jwks")), clock=clock
    )  # the discard port: nobody answers
    access = admitted(authz, request("/health", mint()))
    authz.serving._remote[ISSUER].refresh().result(30)
    assert access.credentials == "unavailable"
    with pytest.raises(AccessDenied) as denied:
        access.require("article:read")
    assert denied.value.answer.status == 503


def test_not_loaded() -> None:
    answer = not_loaded(None)
    assert answer.status == 503
    assert dict(answer.headers)["retry-after"]
    assert instance(answer) != instance(not_loaded(None))
    assert not_loaded("text/plain").body.startswith(b"503 ")


# Protected resource metadata (RFC 9728)


RESOURCE = "https://api.example.com/orders"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
FOUND = [
    pytest.param("", f"{WELL_KNOWN}/orders", "", True, id="M01 path insertion"),
    pytest.param(
        "/api", f"/api{WELL_KNOWN}/orders", "", True, id="root_path put before by the server"
    ),
    pytest.param("/api", f"{WELL_KNOWN}/orders", "", True, id="root_path not put before"),
    pytest.param("", WELL_KNOWN, "", False, id="of another resource"),
    pytest.param("", f"{WELL_KNOWN}/orders/", "", False, id="a slash more"),
    pytest.param("", f"/x{WELL_KNOWN}/orders", "", False, id="M08 deeper"),
    pytest.param("", f"/orders{WELL_KNOWN}", "", False, id="M01 appended"),
    pytest.param("", f"{WELL_KNOWN}/orders", "/app", False, id="M08 under SCRIPT_NAME"),
    pytest.param("/app", f"/x{WELL_KNOWN}/orders", "", False, id="another root_path"),
    pytest.param("", None, "", False, id="no path"),
]


@pytest.mark.parametrize(("root_path", "path", "mount", "found"), FOUND)
def test_where_metadata_stands(
    clock: Clock, root_path: str, path: str | None, mount: str, found: bool
) -> None:
    authz = made(clock, resource=RESOURCE)
    answer = authz.serving.metadata(request(path, root_path=root_path)[0], mount)
    assert (answer is not None) is found


METHODS = [("GET", True), ("HEAD", True), ("POST", False), ("OPTIONS", False), ("get", False)]


@pytest.mark.parametrize(("method", "found"), METHODS)
def test_which_methods_get_metadata(clock: Clock, method: str, found: bool) -> None:
    """M02."""
    authz = made(clock, resource=RESOURCE)
    facts, _ = request(f"{WELL_KNOWN}/orders", method=method)
    assert (authz.serving.metadata(facts) is not None) is found


def test_a_handshake_gets_no_metadata(clock: Clock) -> None:
    authz = made(clock, resource=RESOURCE)
    assert authz.serving.metadata(request(f"{WELL_KNOWN}/orders", kind="websocket")[0]) is None


def test_metadata(clock: Clock) -> None:
    """M01, M02, M03, M06."""
    answer = made(clock, resource="https://api.example.com").serving.metadata(
        request(WELL_KNOWN)[0]
    )
    assert answer is not None
    assert answer.status == 200
    headers = dict(answer.headers)
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "*"
    assert "max-age" in headers["cache-control"]
    assert json.loads(answer.body) == {
        "resource": "https://api.example.com",
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["pay"],
    }


def test_a_resource_with_escapes_is_found_by_its_decoded_path(clock: Clock) -> None:
    authz = made(clock, resource="https://api.example.com/b%C3%BCcher%20x")
    assert authz.serving.metadata(request(f"{WELL_KNOWN}/bücher x")[0]) is not None
    challenge = dict(refused(authz, request()).headers)["www-authenticate"]
    assert f'resource_metadata="https://api.example.com{WELL_KNOWN}/b%C3%BCcher%20x"' in challenge


def test_without_a_resource_there_is_no_metadata(clock: Clock) -> None:
    assert made(clock).serving.metadata(request(WELL_KNOWN)[0]) is None
    assert became(made(clock).serving.outcome(*request(WELL_KNOWN))) == "no_credentials"


def test_one_authz_serves_both_worlds(clock: Clock) -> None:
    authz = made(clock)
    asked = request("/articles", mint(roles=["editor"]))
    assert ask(authz, asked) == ask_async(authz, asked)
    assert became(ask_async(authz, asked)) == "in"


def test_preflights_pass_where_the_policy_says_so(clock: Clock) -> None:
    preflight = request(method="OPTIONS", preflight="GET")
    assert became(made(clock).serving.outcome(*preflight)) == "no_credentials"
    assert became(made(clock, preflight="pass").serving.outcome(*preflight)) == "in"


@pytest.mark.parametrize("config", [5, object(), ["authz.toml"]])
def test_a_config_of_another_type(config: Any) -> None:
    with pytest.raises(PolicyError, match="config=: `config` is of type"):
        ASGIAuthzMiddleware(cast("Any", None), config)


@pytest.mark.parametrize(
    "given",
    [
        {"clock": 5},
        {"clock": lambda: "now"},
        {"observers": [print]},
        {"observers": [None]},
        {"renderer": lambda refusal: None},
        {"renderer": Later()},
        {"observers": [Later()]},
    ],
    ids=repr,
)
def test_what_would_fail_at_each_request_fails_at_once(given: Any) -> None:
    with pytest.raises(TypeError):
        Authz.from_mapping(policy(), **given)


def test_an_authz_is_made_of_a_document() -> None:
    with pytest.raises(TypeError, match="from_file"):
        Authz(cast("Any", policy()))
