"""The models of servers that `attack` has make everything that real servers made."""

from __future__ import annotations

import json
import re

import pytest

from authz_middleware.testing.attack.received import environs, scopes
from tests.adversarial.record import FOLDER, digest, read, setups, ways
from tests.adversarial.routes import requests

ABOUT = json.loads((FOLDER / "servers.json").read_text())


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def world(request):
    return request.param


def test_what_is_recorded_is_of_this_grammar():
    assert ABOUT["digest"] == digest(), "run `python -m tests.adversarial.record`"
    assert ABOUT["requests"] == len(requests())
    assert ABOUT["came through"].keys() == {way.name for way in ways()}
    assert len(setups()) == 11


def test_it_holds_nothing_of_the_machine(world):
    facts = read(world)
    assert ABOUT["recorded"][world] == len(facts)
    text = json.dumps(facts)
    assert not re.search(r"/tmp/|/home/|/root/|127\.0\.0\.1:\d|python", text)


def test_it_is_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1_000_000


@pytest.mark.slow
def test_every_path_that_a_server_made_is_one_of_a_model(world):
    """As apps are routed: PATH_INFO, or the path and the root path."""
    if world == "wsgi":
        modelled = {
            each.facts["PATH_INFO"] for mutation in requests() for each in environs(mutation)
        }
        made = {fact.facts["PATH_INFO"]: fact for fact in read(world)}
    else:
        modelled = {
            (each.facts["path"], each.facts["root_path"])
            for mutation in requests()
            for each in scopes(mutation)
        }
        made = {(fact.facts["path"], fact.facts["root_path"]): fact for fact in read(world)}
    missing = [ascii(f"{made[each].line}: {each}") for each in made if each not in modelled]
    assert missing == []
