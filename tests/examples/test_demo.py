"""The demonstration's own parts: it must be able to disagree."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import jwt
import pytest

from authz_middleware.testing import DevelopmentIssuer
from examples.demo.__main__ import Demonstration, Row, ask, compare, print_table
from examples.demo.client import Unanswered, send
from examples.demo.commands import CommandFailed, show
from examples.demo.expectations import CALLERS, Expected, authorization, expectations


class FakeServer:
    """Stands for `Server`: a port, and what its log says."""

    name = "fake"

    def __init__(self, port: int, log: str = "") -> None:
        self.port = port
        self.log = log

    def read_log(self) -> str:
        return self.log


def both(wsgi, asgi):
    return Demonstration(DevelopmentIssuer(), wsgi, asgi, Path())


@contextmanager
def answering(status: int, body: bytes = b""):
    """Answer every request with one status; yields the port and what was asked."""
    asked: list[tuple[str, str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers["content-length"] or 0))
            asked.append((self.command, self.requestline.split()[1], self.headers["authorization"]))
            self.send_response(status)
            self.send_header("www-authenticate", "Bearer")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - their names

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ROW = Expected("GET", "/me", "viewer", 403)
LOG = "INFO authz_middleware: refused 'GET' '/me': {} rule=GET /me (x:1:1) subject='v' id=7"
QUOTED = r"refused 'GET' '/it\'s: x rule=': no_rule rule=default (x:1:1) id=7"
BODY = json.dumps({"instance": "urn:uuid:7"}).encode()


@pytest.mark.parametrize(
    ("wsgi", "asgi", "agrees", "reason"),
    [
        (LOG.format("role_missing"), LOG.format("role_missing"), True, "role_missing"),
        (LOG.format("a (b: c)"), LOG.format("a (b: c)"), True, "a (b: c)"),
        (QUOTED, QUOTED, True, "no_rule"),
        (LOG.format("a"), LOG.format("b"), False, "ASGI: b; WSGI: a"),
        ("", "", True, "not found in the decision log"),
    ],
    ids=["the same", "with a colon", "a path that looks like it", "different", "none"],
)
def test_the_reason_is_what_the_decision_logs_say(wsgi, asgi, agrees, reason):
    with answering(403, BODY) as (port, _):
        row = ask(both(FakeServer(port, wsgi), FakeServer(port, asgi)), ROW, None)
    assert row == Row(ROW, "403", "403", reason, agrees)


def test_a_wrong_status_of_either_server_disagrees():
    with answering(200) as (right, _), answering(403) as (wrong, _):
        expected = ROW._replace(status=200)
        for wsgi, asgi in ((right, wrong), (wrong, right), (wrong, wrong)):
            demonstration = both(FakeServer(wsgi), FakeServer(asgi))
            assert not ask(demonstration, expected, None).agrees
        assert ask(both(FakeServer(right), FakeServer(right)), expected, None).agrees


def test_no_answer_disagrees():
    with answering(200) as (port, _):
        pass
    row = ask(both(FakeServer(port), FakeServer(port)), ROW, None)
    assert (row.wsgi, row.asgi, row.agrees) == ("none", "none", False)


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b'{"instance": 1}'])
def test_an_answer_that_is_not_ours_was_let_in(body):
    with answering(404, body) as (port, _):
        row = ask(both(FakeServer(port), FakeServer(port)), ROW, None)
    assert row.reason == "let in; the app's own answer"


def test_an_app_without_authorization_fails_the_demonstration(capsys):
    with answering(200) as (port, _):
        server = FakeServer(port, "what the server said")
        assert compare(both(server, server)) == 1
    out, err = capsys.readouterr()
    cells = list(expectations())
    right = sum(cell.status == 200 for cell in cells)
    assert out.splitlines()[-1] == (
        f"{len(cells)} requests, {right} agree, {len(cells) - right} disagree"
    )
    assert "what the server said" in err


def test_paths_are_sent_as_they_are_written():
    targets = ["//admin/users", "/a/../b", "/a/%2e%2e/b", "/a;v=1", "/articles/+1"]
    with answering(200) as (port, asked):
        for target in targets:
            assert send(port, "GET", target, "Bearer x").challenge == "Bearer"
    assert asked == [("GET", target, "Bearer x") for target in targets]


def test_a_server_that_is_not_there_is_no_answer():
    with answering(200) as (port, _):
        pass
    with pytest.raises(Unanswered, match="GET /x: ConnectionRefusedError"):
        send(port, "GET", "/x")


def test_the_table_is_aligned(capsys):
    print_table(
        [
            Row(ROW, "403", "403", "role_missing", True),
            Row(Expected("DELETE", "/articles/1", "no token", 401), "200", "-", "let in", False),
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "   request             caller    expected  WSGI  ASGI  reason",
        "   GET    /me          viewer    403       403   403   role_missing",
        "!  DELETE /articles/1  no token  401       200   -     let in",
    ]


def test_every_caller_and_outcome_is_asked_for():
    cells = list(expectations())
    assert {cell.caller for cell in cells} == set(CALLERS)
    assert {cell.status for cell in cells} >= {101, 200, 201, 400, 401, 403, 404}
    assert len(set(cells)) == len(cells)


def test_each_caller_has_its_header(issuer):
    headers = authorization(issuer)
    assert set(headers) == set(CALLERS)
    assert headers["no token"] is None
    token = str(headers["viewer"]).removeprefix("Bearer ")
    viewer = jwt.decode(token, options={"verify_signature": False})
    assert (viewer["roles"], viewer.get("scope")) == (["viewer"], None)


def test_nothing_expected_comes_from_the_code_under_test():
    source = (Path(__file__).parents[2] / "examples/demo/expectations.py").read_text()
    assert [line for line in source.splitlines() if "authz_middleware" in line] == [
        "from authz_middleware.testing import DevelopmentIssuer"
    ]


def test_a_command_that_ends_otherwise_than_it_should_fails_the_demonstration(tmp_path):
    (tmp_path / "authz.toml").write_text("x = 1", encoding="utf-8")
    with pytest.raises(CommandFailed, match=r"`authz test` ended with 2\n(.|\n)*authz.toml:1:1"):
        show(tmp_path, {"authz test": 0})
