"""Every app behind our guard in every server, through sockets.

ADVERSARIAL_EVERY says of how many requests one is sent (8): 1 takes most of an hour.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.adversarial.apps import KINDS
from tests.adversarial.known import known
from tests.adversarial.record import TIMEOUT, Way, send, targets, ways
from tests.adversarial.replay import tokens
from tests.adversarial.routes import PLAIN, PREFIX, Caller, may, policy
from tests.e2e.setups import ADDED, started

pytestmark = pytest.mark.adversarial_live

EVERY = int(os.environ.get("ADVERSARIAL_EVERY") or 8)

PATIENCE = 60.0
"""Seconds for the answer to a plain request, which comes however busy the machine is."""

CALLING: tuple[Caller, ...] = ("nobody", "viewer", "admin")

PAIRS = [(way, kind) for way in ways() for kind in KINDS if way.setup.world == kind.world]


@pytest.mark.parametrize(("way", "kind"), PAIRS, ids=lambda each: getattr(each, "name", None))
def test_a_server_and_an_app(way: Way, kind, tmp_path, record_property):
    issuer, authorization = tokens()
    policy_file, ran = tmp_path / "authz.json", tmp_path / "ran"
    policy_file.write_text(json.dumps(policy(issuer, "authenticated", dict(kind.routes))))
    ran.touch()
    environ = {
        "ADVERSARIAL_APP": kind.name,
        "ADVERSARIAL_POLICY": str(policy_file),
        "ADVERSARIAL_RAN": str(ran),
        "ADVERSARIAL_CALLERS": json.dumps({field: who for who, field in authorization.items()}),
    }
    options: tuple[str, ...] = ()
    if way.prefixed:
        options = way.setup.prefix
        if way.setup.prefix_variable:
            environ[way.setup.prefix_variable] = PREFIX
    wrong: list[str] = []
    sent = plain = 0
    # Of what is known: another way to write it is the same leak.
    expected = {handler for handler, _ in known(kind.name, "authenticated")}
    reached: set[str] = set()

    def judge(line: str) -> None:
        """See who made handlers run since this was asked last: mostly, but not always, by `line`.

        A server may come to a request after nobody has waited for its answer any longer.
        """
        nonlocal plain
        for caller, _, handler in (each.partition(" ") for each in handlers.read().splitlines()):
            if caller == "admin":
                reached.add(handler)
                plain += 1
            elif not may(caller, handler) and handler not in expected:
                wrong.append(ascii(f"{handler} ran for {caller}: {line}, or shortly before"))

    with ran.open(encoding="utf-8") as handlers:
        with started(
            way.setup, tmp_path, environ, *options, app="tests.adversarial.live_app:app"
        ) as server:
            for number, (mutation, target) in enumerate(targets(way)):
                is_plain = mutation.kind == "plain"
                if not is_plain and number % EVERY:
                    continue
                for caller in CALLING if is_plain else CALLING[:2]:
                    asked = mutation._replace(target=target)
                    timeout = PATIENCE if is_plain else TIMEOUT
                    send(server.port, asked, authorization[caller], timeout=timeout)
                    sent += caller != "admin"
                    judge(f"{mutation.line} as {target}")
        judge("the last request")
    record_property("sent", sent)
    record_property("plain", plain)
    assert wrong == []
    if kind.name == "falcon-asgi" and way.prefixed and way.setup.prefixed is ADDED:
        assert reached == set()  # Falcon never cuts off what the server puts in front
    else:
        wanted = {each.handler for each in PLAIN} - kind.lacks
        if kind.name == "quart" and way.name.startswith("daphne"):
            # Quart reads a scheme of handshakes that daphne leaves out.
            wanted -= {"feed open", "feed admin"}
        assert wanted <= reached | kind.odd
