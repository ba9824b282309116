"""The figures that docs/tokens.md states, from a simulated day."""

from __future__ import annotations

import pytest

from authz_middleware.tokens.freshness import COOLDOWN
from tests.docs.pages import ROOT
from tests.runtime.day import DAY, SCENARIOS, UNKNOWN_KIDS, Figures, simulate

# At most one fetch a cooldown because of kids that are not known, and one each 80 to 90 % of the
# 300 seconds that a set is good for.
MOST_SETS = DAY / COOLDOWN + DAY / (0.8 * 300) + 1


@pytest.fixture(scope="module", params=SCENARIOS)
def run(request: pytest.FixtureRequest) -> tuple[str, Figures]:
    return request.param, simulate(SCENARIOS[request.param])


@pytest.mark.slow
def test_a_day(run: tuple[str, Figures]) -> None:
    """D09, D10: through 24 rotations, an outage of two hours and an attack."""
    name, found = run
    assert found.callers["in"] > 18_000
    assert found.callers["invalid_token"] == 0, found  # nobody is refused who should be let in
    if SCENARIOS[name].attack:
        assert found.attackers.total() == UNKNOWN_KIDS
        assert found.attackers["in"] == 0
    if SCENARIOS[name].ahead or not SCENARIOS[name].attack:
        assert set(found.callers) == {"in"}, found  # nor told to come again
    else:
        # A sudden rotation, and somebody else has just made us look.
        assert found.callers["keys_unavailable"] < 100, found
        assert found.longest_503 <= COOLDOWN, found
    assert found.fetches["key set"] <= MOST_SETS, found
    assert found.most_in_a_cooldown <= 2, found


@pytest.mark.slow
def test_the_documentation_states_these_figures(run: tuple[str, Figures]) -> None:
    name, found = run
    row = (
        f"| {name} | {found.callers.total():,} | {found.callers['invalid_token']} |"
        f" {found.callers['keys_unavailable']} | {found.fetches['key set']:,} |"
        f" {found.failed:,} |"
    )
    assert row in (ROOT / "docs" / "tokens.md").read_text(), row
