"""Our middleware asks our own decision point, over loopback: what one sends the other reads."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.pdp import DecisionPoint
from authz_middleware.pdp.server import serving
from tests.adapters.exchange import WORLDS, Sent, ask
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
        "GET /files/<path:rest>": ["viewer"],
        "GET /files/secret/<path:rest>": ["editor"],
        "DELETE /not/<int:id>": {"load": "broken"},
        "GET /own/<name>": {"when": "resource.params.name == subject.id && subject.issuer != ''"},
        "WS /articles/<int:id>": ["editor"],
    },
}
ASKING = [key for key in DECIDING["routes"] if "secret" not in key and "not" not in key]


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


def sent(
    world: str, authz: Authz, method: str, path: str, *fields: tuple[str, str], **claims: Any
) -> Sent:
    token = mint(aud="orders", exp=NOW + 60, **{"iss": ISSUER, **claims})
    return ask(world, authz, method, path, [("Authorization", f"Bearer {token}"), *fields])


VIEWER, EDITOR = {"roles": ["viewer"]}, {"roles": ["editor"]}
WRITER = {**EDITOR, "scope": "read write"}
CASES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "a role": ("GET", "/articles/7", VIEWER, 200),
    "HEAD": ("HEAD", "/articles/7", VIEWER, 200),
    "an inherited role": ("GET", "/articles/007", EDITOR, 200),
    "no role": ("GET", "/articles/7", {}, 403),
    "a role that is not known": ("GET", "/articles/7", {"roles": ["Viewer", "*"]}, 403),
    "a scope": ("PUT", "/articles/7", WRITER, 200),
    "no scope": ("PUT", "/articles/7", EDITOR, 403),
    "an issuer": ("POST", "/articles/7", {}, 200),
    "another issuer": ("POST", "/articles/7", {"iss": OTHER}, 403),
    "what another issuer grants": ("GET", "/articles/7", {"iss": OTHER, **VIEWER}, 200),
    "what it does not": ("PUT", "/articles/7", {"iss": OTHER, **WRITER}, 403),
    "what cannot be decided": ("DELETE", "/articles/7", EDITOR, 503),
    "a rest": ("GET", "/files/a/b", VIEWER, 200),
    "the rule of a part of it": ("GET", "/files/secret/b", VIEWER, 403),
    "who may see that": ("GET", "/files/secret/b", EDITOR, 200),
    "one's own": ("GET", "/own/ann", {}, 200),
    "somebody else's": ("GET", "/own/bob", {}, 403),
    "not allowed there": ("GET", "/not/7", EDITOR, 200),  # it has no rule, which is a no
    "not decided there": ("DELETE", "/not/7", EDITOR, 503),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("method", "path", "claims", "status"), CASES.values(), ids=CASES)
def test_what_one_asks_the_other_answers(
    world: str, authz: Authz, method: str, path: str, claims: dict[str, Any], status: int
) -> None:
    assert sent(world, authz, method, path, **claims).status == status


def test_a_handshake(authz: Authz) -> None:
    assert sent("asgi", authz, "WS", "/articles/7", **EDITOR).status == 101
    assert sent("asgi", authz, "WS", "/articles/7", **VIEWER).status == 403


@pytest.mark.parametrize("world", WORLDS)
def test_several_questions(world: str, authz: Authz) -> None:
    """What may become a WebSocket must be allowed as both, and is asked in one request."""
    upgrade = ("Upgrade", "websocket")
    assert sent(world, authz, "GET", "/articles/7", upgrade, **EDITOR).status == 200
    assert sent(world, authz, "GET", "/articles/7", upgrade, **VIEWER).status == 403
