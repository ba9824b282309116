"""Which HTTP answer a refusal becomes: status, challenge, body (RFC 6750 §3, RFC 9457)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from authz_middleware.bearer import challenge
from authz_middleware.facts import Answer, Decision, Reason
from authz_middleware.tokens.freshness import RETRY_AFTER

__all__ = ["ANSWERS", "Answers", "Kind", "metadata"]


class Kind(NamedTuple):
    """One row of the table below."""

    status: int
    error: str | None = None  # the RFC 6750 §3.1 error code
    challenged: bool = True  # whether WWW-Authenticate is sent


# RFC 6750 §3.1 asks for `insufficient_scope` whenever a valid token is not enough; the scopes to
# ask for are named only when scopes are what is missing. A request that carried no credentials
# gets no error code at all.
ANSWERS: dict[Reason, Kind] = {
    "path_ambiguous": Kind(400, challenged=False),
    "method_ambiguous": Kind(400, challenged=False),
    "malformed_authorization": Kind(400, "invalid_request"),
    "no_credentials": Kind(401),
    "invalid_token": Kind(401, "invalid_token"),
    "no_rule": Kind(403, "insufficient_scope"),
    "method_not_listed": Kind(403, "insufficient_scope"),
    "denied_by_rule": Kind(403, "insufficient_scope"),
    "role_missing": Kind(403, "insufficient_scope"),
    "permission_missing": Kind(403, "insufficient_scope"),
    "issuer_not_accepted": Kind(403, "insufficient_scope"),
    "scope_missing": Kind(403, "insufficient_scope"),
    "keys_unavailable": Kind(503, challenged=False),
    "policy_not_loaded": Kind(503, challenged=False),
}

JSON = "application/problem+json"
MAX_ACCEPT = 1024
"""Bytes of an Accept field that are parsed for a refusal, which anybody can ask for."""
_JSON_TYPES = (JSON, "application/json")


@dataclass(frozen=True, slots=True)
class Answers:
    """How this policy speaks: its realm, metadata URL, and base URI of problem types."""

    realm: str = "api"
    resource_metadata: str | None = None
    problem_base: str | None = None

    def refusal(self, decision: Decision, *, id: str, accept: str | None) -> Answer:
        """Render a refused `decision`.

        `id` is a random UUID that finds the log line; `accept` the client's Accept field. The
        client learns the status and the OAuth error code, never which rule or check failed.
        """
        kind = ANSWERS[decision.reason]
        headers = [("cache-control", "no-store")]
        if kind.challenged:
            headers.append(("www-authenticate", self._challenge(kind, decision)))
        if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("retry-after", f"{RETRY_AFTER:.0f}"))
        phrase = HTTPStatus(kind.status).phrase
        if _accepts_json(accept):
            slug = kind.error or phrase.lower().replace(" ", "_")
            problem = {
                "type": f"{self.problem_base}{slug}" if self.problem_base else "about:blank",
                "title": phrase,
                "status": kind.status,
                "instance": f"urn:uuid:{id}",
            }
            if kind.error:
                problem["error"] = kind.error
            media_type, body = JSON, json.dumps(problem)
        else:
            media_type, body = "text/plain; charset=utf-8", f"{kind.status} {phrase}\nid: {id}\n"
        data = body.encode()
        headers += [("content-type", media_type), ("content-length", str(len(data)))]
        return Answer(kind.status, tuple(headers), data)

    def _challenge(self, kind: Kind, decision: Decision) -> str:
        return challenge(
            self.realm,
            error=kind.error,
            scopes=decision.scopes,
            resource_metadata=self.resource_metadata,
        )


def metadata(resource: str, issuers: tuple[str, ...], scopes: tuple[str, ...]) -> Answer:
    """Return the protected resource metadata document (RFC 9728 §3.2), readable by any origin."""
    document: dict[str, object] = {
        "resource": resource,
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
    }
    if scopes:  # RFC 9728 §3.2: parameters with zero values are omitted
        document["scopes_supported"] = scopes
    data = json.dumps(document).encode()
    headers = (
        ("content-type", "application/json"),
        ("content-length", str(len(data))),
        ("cache-control", "public, max-age=3600"),
        ("access-control-allow-origin", "*"),
    )
    return Answer(200, headers, data)


def _accepts_json(accept: str | None) -> bool:
    """Whether the client takes JSON at least as gladly as plain text (RFC 9110 §12.5.1)."""
    if accept is None or not accept.strip() or len(accept) > MAX_ACCEPT:
        return True
    accepted = parse_accept_header(accept, MIMEAccept)
    best_json = max(accepted.quality(media_type) for media_type in _JSON_TYPES)
    return best_json > 0 and best_json >= accepted.quality("text/plain")
