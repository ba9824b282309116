"""Our middleware asks our own decision point about several issuers, and under a `not`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.pdp import DecisionPoint
from authz_middleware.pdp.server import serving
from tests.adapters.exchange import WORLDS, ask
from tests.pdp.asking import ISSUER, NOW, TOKEN, issuer
from tests.tokens.minting import mint

OTHER = "https://partner.example.net"
TRUSTED = [
    issuer(grants=["*"]),
    issuer(issuer=OTHER, grants=["viewer"]),
]
ROLES = {"viewer": [], "editor": {"inherits": ["viewer"]}}
DECIDING: dict[str, Any] = {
    "issuers": TRUSTED,
    "roles": ROLES,
    "routes": {
        "GET /articles/<int:id>": ["viewer"],
        "PUT /articles/<int:id>": {"roles": ["editor"], "scopes": ["write"]},
        "DELETE /articles/<int:id>": {"load": "broken"},
        "POST /articles/<int:id>": {"issuers": [ISSUER]},
        "DELETE /not/<int:id>": {"load": "broken"},
    },
}
ASKING = [key for key in DECIDING["routes"] if "not" not in key]


def broken(params: Any) -> Any:
    raise RuntimeError


@pytest.fixture(scope="module")
def authz() -> Generator[Authz]:
    """One that lets in whom the decision point permits; under `/not`, whom it does not."""

    def clock() -> float:
        return NOW

    deciding = Authz.from_mapping(DECIDING, loaders={"broken": broken}, clock=clock)
    point = DecisionPoint(deciding, tokens=[TOKEN])
    with pytest.MonkeyPatch.context() as patch, serving(lambda _: point, "127.0.0.1", 0) as port:
        patch.setenv("PDP_TOKEN", TOKEN)
        pdp = {"url": f"http://127.0.0.1:{port}", "token_env": "PDP_TOKEN"}
        yield Authz.from_mapping(
            {
                "issuers": TRUSTED,
                "roles": ROLES,
                "pdp": {"ours": pdp},
                "routes": {key: {"pdp": "ours"} for key in ASKING}
                | {
                    "GET /not/<int:id>": {"not": {"pdp": "ours"}},
                    "DELETE /not/<int:id>": {"not": {"pdp": "ours"}},
                },
            },
            clock=clock,
        )


VIEWER: dict[str, Any] = {"roles": ["viewer"]}
WRITER: dict[str, Any] = {"roles": ["editor"], "scope": "read write"}
CASES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "a scope": ("PUT", "/articles/7", WRITER, 200),
    "no scope": ("PUT", "/articles/7", {"roles": ["editor"]}, 403),
    "an issuer": ("POST", "/articles/7", {}, 200),
    "another issuer": ("POST", "/articles/7", {"iss": OTHER}, 403),
    "what another issuer grants": ("GET", "/articles/7", {"iss": OTHER, **VIEWER}, 200),
    "what it does not": ("PUT", "/articles/7", {"iss": OTHER, **WRITER}, 403),
    "not decided": ("DELETE", "/articles/7", WRITER, 503),
    "a no under a not": ("GET", "/not/7", WRITER, 200),  # it has no rule, which is a no
    "not decided under a not": ("DELETE", "/not/7", WRITER, 503),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("method", "path", "claims", "status"), CASES.values(), ids=CASES)
def test_what_one_asks_the_other_answers(
    world: str, authz: Authz, method: str, path: str, claims: dict[str, Any], status: int
) -> None:
    token = mint(aud="orders", exp=NOW + 60, **{"iss": ISSUER, **claims})
    sent = ask(world, authz, method, path, [("Authorization", f"Bearer {token}")])
    assert sent.status == status
