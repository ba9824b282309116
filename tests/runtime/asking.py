"""Requests, policies and what became of them, for the tests of the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from authz_middleware import Authz
from authz_middleware.effects import Admit, Outcome
from authz_middleware.facts import ANONYMOUS, Authorization, RequestFacts
from authz_middleware.runtime.keys import RemoteKeys
from tests.runtime.provider import INTROSPECT, JWKS, Provider
from tests.tokens.minting import ISSUER, jwk

ROUTES = {
    "GET /health": "public",
    "GET /me": "authenticated",
    "GET /articles": ["viewer"],
    "POST /articles": {"permissions": ["article:write"]},
    "POST /transfers": {"scopes": ["pay"]},
    "GET /closed": "deny",
}
ROLES = {
    "viewer": ["article:read"],
    "editor": {"inherits": ["viewer"], "permissions": ["article:*"]},
}


def table(**members: Any) -> dict[str, Any]:
    """Return one entry of [[issuers]]; a member given as None is left out."""
    entry = {"issuer": ISSUER, "audience": ["orders"], "claims": {"roles": "roles"}} | members
    return {name: value for name, value in entry.items() if value is not None}


def policy(*issuers: dict[str, Any], **top: Any) -> dict[str, Any]:
    listed = list(issuers) or [table(jwks={"keys": [jwk("ES256", kid="a")]})]
    return {"issuers": listed, "roles": ROLES, "routes": ROUTES} | top


def remote(provider: Provider, clock: Callable[[], float], **options: Any) -> Authz:
    """Return an `Authz` whose one issuer has its keys at the provider's JWKS."""
    return Authz.from_mapping(
        policy(table(jwks_uri=f"{provider.origin}{JWKS}")), clock=clock, **options
    )


def introspected(provider: Provider, **keys: Any) -> dict[str, Any]:
    """Return an entry of [[issuers]] that is asked about its tokens, at the provider."""
    usual = {
        "endpoint": f"{provider.origin}{INTROSPECT}",
        "client_id": "orders",
        "client_secret_env": "INTROSPECTION_SECRET",
    }
    return table(introspection=usual | keys)


Asked = tuple[RequestFacts, Authorization]
"""What a decision may look at, and the credentials."""

Ask = Callable[[Authz, Asked], Outcome]


def request(
    path: str | None = "/me", token: str | bytes | None = None, method: str = "GET", **more: Any
) -> Asked:
    if isinstance(token, str):
        token = token.encode()
    authorization = ANONYMOUS if token is None else Authorization([b"Bearer " + token])
    facts = RequestFacts(
        more.get("kind", "http"),
        method,
        path,
        more.get("root_path", ""),
        more.get("preflight", ""),
    )
    return facts, authorization


def ask(authz: Authz, asked: Asked) -> Outcome:
    return authz.serving.outcome(*asked)


def ask_async(authz: Authz, asked: Asked) -> Outcome:
    return asyncio.run(authz.serving.outcome_async(*asked))


def became(outcome: Outcome) -> str:
    """Return "in", or why not."""
    return "in" if isinstance(outcome, Admit) else outcome.decision.reason


def kids(source: RemoteKeys, clock: Callable[[], float]) -> list[str | None] | None:
    """Return the names of the keys at hand."""
    found = source.view(clock()).keys
    return None if found is None else [key.kid for key in found.keys]


def renew(source: RemoteKeys) -> None:
    """Wait for the fetch in flight, or for one that may start."""
    source.refresh().result(30)
