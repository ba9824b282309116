"""Print at the end how much was sent, and what ran."""

from __future__ import annotations

import pytest

from tests.adversarial.replay import Outcome

COUNTS = pytest.StashKey[list[tuple[str, Outcome]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTS] = []


@pytest.fixture
def count(request):
    """Return what notes the outcome of a run for the end."""
    return lambda guard, outcome: request.config.stash[COUNTS].append((guard, outcome))


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    outcomes = config.stash.get(COUNTS, [])
    if not outcomes:
        return
    terminalreporter.section("adversarial requests")
    for guard, outcome in outcomes:
        terminalreporter.write_line(f"{guard:18} {outcome}")
    ours = [outcome for guard, outcome in outcomes if guard.startswith("ours")]
    terminalreporter.write_line(
        f"behind ours: {sum(each.sent for each in ours):,} sent,"
        f" {sum(len(each.wrong) for each in ours):,} ran wrongly,"
        f" {sum(each.plain for each in ours):,} plain,"
        f" {sum(len(each.blocked) for each in ours):,} blocked"
    )
