"""Every app behind our guard in every server, through sockets.

ADVERSARIAL_EVERY says of how many requests one is sent (8): 1 takes most of an hour.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.adversarial.apps import KINDS
from tests.adversarial.known import known
from tests.adversarial.record import Way, send, targets, ways
from tests.adversarial.replay import tokens
from tests.adversarial.routes import PLAIN, PREFIX, may, policy
from tests.e2e.setups import ADDED, started

pytestmark = pytest.mark.adversarial_live

EVERY = int(os.environ.get("ADVERSARIAL_EVERY") or 8)

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
    with (
        started(
            way.setup, tmp_path, environ, *options, app="tests.adversarial.live_app:app"
        ) as server,
        ran.open(encoding="utf-8") as handlers,
    ):
        for number, (mutation, target) in enumerate(targets(way)):
            if mutation.kind != "plain" and number % EVERY:
                continue
            for caller in ("nobody", "viewer"):
                handlers.read()
                send(server.port, mutation._replace(target=target), authorization[caller])
                sent += 1
                wrong += [
                    ascii(f"{handler} ran for {caller}: {mutation.line} as {target}")
                    for handler in handlers.read().split("\n")[:-1]
                    if not may(caller, handler) and handler not in expected
                ]
            if mutation.kind == "plain":
                send(server.port, mutation._replace(target=target), authorization["admin"])
                found = set(handlers.read().split("\n")[:-1])
                reached |= found
                plain += len(found)
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
