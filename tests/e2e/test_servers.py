"""The examples under uvicorn and gunicorn: let in, refused, not started, stopped."""

from __future__ import annotations

import json
import re
import signal

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from examples.demo.client import Unanswered, send
from examples.demo.expectations import authorization, expectations
from examples.demo.servers import ServerFailed, gunicorn, running, uvicorn
from tests.e2e.processes import mentioning

pytestmark = pytest.mark.e2e

FASTAPI = uvicorn("examples.fastapi_app.app:app")
FLASK = gunicorn("examples.flask_app.app:app")
BOTH = pytest.mark.parametrize("command", [FASTAPI, FLASK], ids=["uvicorn", "gunicorn"])


@BOTH
def test_let_in_and_refused(command, serve, issuer):
    viewer = f"Bearer {issuer.mint('vera', roles=['viewer'])}"
    with serve(command) as server:
        assert send(server.port, "GET", "/health").status == 200
        assert send(server.port, "GET", "/articles/1", viewer).status == 200
        absent = send(server.port, "GET", "/articles/1")
        metadata = "https://newsroom.example.com/.well-known/oauth-protected-resource"
        assert absent.status == 401
        assert absent.challenge == f'Bearer realm="newsroom", resource_metadata="{metadata}"'
        forged = send(server.port, "GET", "/me", f"Bearer {issuer.signed_by_another_key()}")
        assert (forged.status, 'error="invalid_token"' in str(forged.challenge)) == (401, True)
        short = send(server.port, "GET", "/articles.csv", viewer)
        assert short.status == 403
        assert 'error="insufficient_scope", scope="export"' in str(short.challenge)


def test_both_servers_answer_alike(tmp_path, policy, issuer):
    """Status and challenge, for everything the demonstration asks but what changes something."""
    headers = authorization(issuer)
    environ = {"AUTHZ_CONFIG": str(policy)}
    with (
        running("uvicorn", FASTAPI, tmp_path, environ) as asgi,
        running("gunicorn", FLASK, tmp_path, environ) as wsgi,
    ):
        for expected in expectations():
            if expected.method == "GET":
                answers = [
                    send(server.port, "GET", expected.target, headers[expected.caller])
                    for server in (wsgi, asgi)
                ]
                assert answers[0][:2] == answers[1][:2], expected


def test_forked_workers_of_a_preloaded_app_fetch_keys_each(serve, issuer):
    viewer = f"Bearer {issuer.mint(roles=['viewer'])}"
    command = gunicorn("examples.flask_app.app:app", "--preload", "--workers", "3")
    with serve(command) as server:
        assert {send(server.port, "GET", "/me", viewer).status for _ in range(30)} == {200}


# WebSocket.


def test_a_websocket_that_is_let_in(serve, issuer):
    headers = {"Authorization": f"Bearer {issuer.mint(roles=['viewer'])}"}
    with serve(FASTAPI) as server:
        url = f"ws://127.0.0.1:{server.port}/feed"
        with connect(url, additional_headers=headers, proxy=None) as websocket:
            listing = json.loads(websocket.recv(5))
            websocket.send("2")
            assert json.loads(websocket.recv(5)) == listing[1]


@pytest.mark.parametrize("protocol", ["websockets", "websockets-sansio"])
def test_a_websocket_that_is_refused_gets_the_whole_answer(serve, issuer, protocol):
    forbidden = {"Authorization": f"Bearer {issuer.mint(roles=[])}"}
    command = uvicorn("examples.fastapi_app.app:app", "--ws", protocol)
    with serve(command, PYTHONWARNINGS="ignore") as server:
        url = f"ws://127.0.0.1:{server.port}/feed"
        for headers, status, error in (({}, 401, None), (forbidden, 403, "insufficient_scope")):
            with (
                pytest.raises(InvalidStatus) as refused,
                connect(url, additional_headers=headers, proxy=None),
            ):
                pass
            response = refused.value.response
            assert response.status_code == status
            assert response.headers["www-authenticate"].startswith('Bearer realm="newsroom"')
            assert response.headers["content-type"] == "application/problem+json"
            problem = json.loads(response.body)
            assert (problem["status"], problem.get("error")) == (status, error)


# A bad policy never serves.

BAD = '[routes]\n"GET /health" = "pubic"\n'


def no_port_is_open(failed: ServerFailed) -> bool:
    ports = re.findall(r"http://127\.0\.0\.1:([0-9]+)", str(failed))
    for port in ports:
        with pytest.raises(Unanswered, match="ConnectionRefusedError"):
            send(int(port), "GET", "/health")
    return True


@BOTH
def test_a_bad_policy_stops_the_process(command, serve, tmp_path):
    (tmp_path / "bad.toml").write_text(BAD)
    with (
        pytest.raises(ServerFailed, match=r"bad\.toml:2:1: ") as failed,
        serve(command, AUTHZ_CONFIG=str(tmp_path / "bad.toml")),
    ):
        pass
    assert re.match(r"server ended with [1-9]", str(failed.value))
    assert no_port_is_open(failed.value)
    assert mentioning(tmp_path) == []


LATE = """
from fastapi import FastAPI
from authz_middleware import ASGIAuthzMiddleware

app = FastAPI()
app.add_middleware(ASGIAuthzMiddleware, config="bad.toml")

@app.get("/health")
def health() -> str:
    return "ok"
"""


@pytest.fixture
def late(tmp_path) -> list[str]:
    """Return the options that serve an app whose framework reads a bad policy at start-up."""
    (tmp_path / "bad.toml").write_text(BAD)
    text = LATE.replace("bad.toml", str(tmp_path / "bad.toml"))
    (tmp_path / "late.py").write_text(text)
    return ["--app-dir", str(tmp_path)]


def test_a_bad_policy_read_by_the_framework_fails_the_start(late, serve, tmp_path):
    with (
        pytest.raises(ServerFailed, match=r"bad\.toml:2:1: ") as failed,
        serve(uvicorn("late:app", *late)),
    ):
        pass
    assert re.match(r"server ended with [1-9]", str(failed.value))
    assert no_port_is_open(failed.value)
    assert mentioning(tmp_path) == []


def test_a_bad_policy_serves_nobody_where_the_server_goes_on(late, serve):
    with serve(uvicorn("late:app", "--lifespan", "off", *late)) as server:
        for target in ("/health", "/", "//"):
            answer = send(server.port, "GET", target, "Bearer x")
            assert (answer.status, answer.challenge) == (503, None)


# The end.


@BOTH
def test_sigterm_leaves_nothing(command, serve, tmp_path, issuer):
    with serve(command) as server:
        send(server.port, "GET", "/me", f"Bearer {issuer.mint()}")  # its threads have started
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) in (0, -signal.SIGTERM)
        assert mentioning(tmp_path) == []
        with pytest.raises(Unanswered, match="ConnectionRefusedError"):
            send(server.port, "GET", "/health")
