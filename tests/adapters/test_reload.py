"""A policy is replaced while a request is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authz_middleware import Authz, PolicyError, current_access
from tests.adapters.exchange import WORLDS, ask


@pytest.fixture
def file(tmp_path: Path, policy: dict[str, Any]) -> Path:
    path = tmp_path / "authz.json"
    path.write_text(json.dumps(policy))
    return path


@pytest.mark.parametrize("world", WORLDS)
class TestReload:
    def test_a_request_ends_under_the_policy_it_began_with(
        self, world: str, file: Path, policy: dict[str, Any], clock: Any, issuer: Any
    ) -> None:
        authz = Authz.from_file(file, clock=clock)
        editor = [("Authorization", f"Bearer {issuer.mint('ed', roles=['editor'])}")]
        stricter = {**policy, "roles": {**policy["roles"], "editor": []}, "routes": {}}

        def during(access: Any) -> None:
            file.write_text(json.dumps(stricter))
            authz.reload()
            assert access.allows("article:write")
            assert current_access() is access

        sent = ask(world, authz, "PUT", "/articles/1", editor, during=during)
        assert sent.status == 200
        assert sent.access.allows("article:write")
        assert ask(world, authz, "PUT", "/articles/1", editor).status == 403

    def test_a_broken_policy_is_not_noticed_outside(
        self, world: str, file: Path, clock: Any
    ) -> None:
        authz = Authz.from_file(file, clock=clock)

        def during(access: Any) -> None:
            file.write_text("{")
            with pytest.raises(PolicyError):
                authz.reload()

        for _ in range(2):
            assert ask(world, authz, "GET", "/health", during=during).status == 200
        assert ask(world, authz, "GET", "/me").status == 401
