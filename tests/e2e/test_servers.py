"""The examples as they are, under uvicorn and gunicorn."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from examples.demo.client import send
from examples.demo.expectations import authorization, expectations
from examples.demo.servers import gunicorn, running, uvicorn

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


def test_both_servers_answer_alike(tmp_path, example, issuer):
    """Status and challenge, for everything the demonstration asks but what changes something."""
    headers = authorization(issuer)
    environ = {"AUTHZ_CONFIG": str(example)}
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
