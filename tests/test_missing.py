from __future__ import annotations

import pytest

from tests.missing import missing


@pytest.mark.parametrize("value", ["", "false", "0"])
def test_what_a_users_machine_lacks_is_skipped_by_name(monkeypatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.skip.Exception, match="no `node` on PATH"):
        missing("no `node` on PATH")


@pytest.mark.parametrize("value", ["true", "TRUE", "1"])
def test_in_ci_nothing_may_be_missing(monkeypatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.fail.Exception, match="no `node` on PATH"):
        missing("no `node` on PATH")
