"""A framework that is missing is skipped on a desk, and never in CI."""

from __future__ import annotations

import pytest

from tests.frameworks.installed import installed


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("true", pytest.fail.Exception), ("1", pytest.fail.Exception), ("", pytest.skip.Exception)],
)
def test_a_framework_that_is_missing(ci, outcome, monkeypatch):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no_such_framework is not installed"):
        installed("no_such_framework.app")
