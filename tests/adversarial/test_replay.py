"""No handler runs for a caller without the right, whatever a server made of an odd request.

Without a marker a slice of it runs; `tox -e adversarial` runs it all.
"""

from __future__ import annotations

import pytest

from tests.adversarial.apps import KINDS
from tests.adversarial.known import known
from tests.adversarial.replay import naive, ours, recorded, replayed, sample, unguarded
from tests.adversarial.routes import NEEDS, PLAIN, may

# Of no interest here, and there are too many apps for each to be written in the newest way.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SLICE = 24
"""Of how many recorded requests one is replayed where all would take too long."""


@pytest.mark.parametrize("default", ["deny", "authenticated"])
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_slice(kind, default, count):
    outcome = replayed(kind, sample(kind.world, SLICE), ours(kind, default))
    count(f"ours, {default}", outcome)
    wrong = [str(each) for each in outcome.wrong if each.what not in known(kind.name, default)]
    assert wrong == []
    assert outcome.blocked == []
    assert outcome.plain >= 20
    assert outcome.ran.keys() >= {"public", "page", "item", "file", "me"} - kind.odd


@pytest.mark.adversarial
@pytest.mark.parametrize("default", ["deny", "authenticated"])
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_everything(kind, default, count):
    outcome = replayed(kind, recorded(kind.world), ours(kind, default))
    count(f"ours, {default}", outcome)
    assert {each.what for each in outcome.wrong} == known(kind.name, default)
    assert outcome.blocked == []
    assert outcome.sent > 20_000


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_the_suite_can_fail(kind, count):
    """Behind no guard, and behind one that compares strings, handlers run that should not."""
    facts = sample(kind.world, SLICE)
    bare = replayed(kind, facts, unguarded, ("viewer",))
    strings = replayed(kind, facts, naive(kind), ("viewer",))
    count("none", bare)
    count("string prefixes", strings)
    assert len(bare.wrong) > 50
    assert len(strings.wrong) > 0
    assert len(bare.wrong) > len(strings.wrong)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_every_handler_of_every_app_runs_when_it_should(kind):
    plain = [fact for fact in recorded(kind.world) if fact.kind == "plain"]
    outcome = replayed(kind, plain, unguarded, ("admin",))
    assert {each.handler for each in PLAIN} - kind.lacks <= outcome.ran.keys() | kind.odd


def test_who_may_do_what():
    assert {handler for handler in NEEDS if may("nobody", handler)} == {
        *("public", "page", "sub open", "feed open"),
    }
    assert not any(may("garbage", handler) for handler in NEEDS if not may("nobody", handler))
    assert all(may("admin", handler) for handler in NEEDS)
