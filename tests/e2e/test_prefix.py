"""Below a prefix: rules are for the path below it, whichever way a server hands it on."""

from __future__ import annotations

import json

import pytest

from tests.e2e.setups import PREFIX, SETUPS
from tests.e2e.wire import HANDSHAKE, ask

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("setup", SETUPS, ids=repr)
def test_below_a_prefix(setup, start, vera):
    variable = {setup.prefix_variable: PREFIX} if setup.prefix_variable else {}
    with start(setup, *setup.prefix, **variable) as running:
        for target, expected in setup.prefixed.items():
            answer = ask(running.port, "GET", target, vera)
            if isinstance(expected, int):
                assert (target, answer.status) == (target, expected)
                continue
            assert (target, answer.status) == (target, 200)
            said = json.loads(answer.body)
            assert (target, said["root"], said["path"]) == (target, *expected)
            assert ask(running.port, "GET", target).status == 401
            public = target.replace("/who", "/open")
            assert ask(running.port, "GET", public).status == 200
            assert (
                ask(running.port, "GET", target.replace("/lab/who", "/admin/users"), vera).status
                == 403
            )
            if setup.world == "asgi":
                handshake = target.replace("/who", "/echo")
                assert ask(running.port, "GET", handshake, *HANDSHAKE, vera).status == 101
                refused = ask(running.port, "GET", handshake, *HANDSHAKE)
                assert refused.status == setup.handshake(401)
