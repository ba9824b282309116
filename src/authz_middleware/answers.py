"""Which HTTP answer a refusal becomes: status, challenge, body (RFC 6750 §3, RFC 9457)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple, Protocol, cast

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from authz_middleware.bearer import challenge
from authz_middleware.facts import Answer, Decision, Reason
from authz_middleware.tokens.freshness import RETRY_AFTER

__all__ = [
    "ANSWERS",
    "Answers",
    "Body",
    "Kind",
    "Refusal",
    "RefusalRenderer",
    "checked_body",
    "metadata",
]


class Kind(NamedTuple):
    """One row of the table below."""

    status: int
    error: str | None = None  # the error code of RFC 6750 §3.1 or RFC 9470 §3
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
    # Other credentials would not help, so none are asked for.
    "forbidden": Kind(403, challenged=False),
    "forbidden_to_caller": Kind(403, "insufficient_scope"),
    "no_rule": Kind(403, "insufficient_scope"),
    "method_not_listed": Kind(403, "insufficient_scope"),
    "denied_by_rule": Kind(403, "insufficient_scope"),
    "role_missing": Kind(403, "insufficient_scope"),
    "permission_missing": Kind(403, "insufficient_scope"),
    "issuer_not_accepted": Kind(403, "insufficient_scope"),
    "excluded": Kind(403, "insufficient_scope"),
    "condition_not_met": Kind(403, "insufficient_scope"),
    "condition_error": Kind(403, "insufficient_scope"),
    "scope_missing": Kind(403, "insufficient_scope"),
    # RFC 9470 §3
    "acr_not_met": Kind(401, "insufficient_user_authentication"),
    "authentication_too_old": Kind(401, "insufficient_user_authentication"),
    "resource_missing": Kind(403, "insufficient_scope"),
    "resource_not_found": Kind(404, challenged=False),
    "keys_unavailable": Kind(503, challenged=False),
    "introspection_unavailable": Kind(503, challenged=False),
    "resource_unavailable": Kind(503, challenged=False),
    "pdp_denied": Kind(403, "insufficient_scope"),
    "pdp_failed": Kind(403, "insufficient_scope"),
    "pdp_unavailable": Kind(503, challenged=False),
    "policy_not_loaded": Kind(503, challenged=False),
    "unguarded": Kind(500, challenged=False),
    "unchecked": Kind(500, challenged=False),
}


class Body(NamedTuple):
    """The body of an answer: `media_type` as in `application/json`, and its bytes."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a renderer may write about.

    `status`, `title` ("Forbidden"), `error` (the code in the challenge), `scopes`, `acr_values` and
    `max_age` are in the answer's head anyway; `id` finds the line in the log. `reason` says more
    than a client is told otherwise: think before you send it. `accept` is the client's Accept
    field, None without one.
    """

    status: int
    title: str
    error: str | None
    scopes: tuple[str, ...]
    reason: Reason
    id: str
    accept: str | None
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None


class RefusalRenderer(Protocol):
    """Writes the body of a refusal in an app's own shape; None stands for ours.

    Status and fields are never a renderer's to choose. It is called on the thread or task of the
    request: return quickly. If it fails, our own body is sent.
    """

    def render(self, refusal: Refusal) -> Body | None: ...


JSON = "application/problem+json"
MAX_ACCEPT = 1024
"""Bytes of an Accept field that are parsed for a refusal, which anybody can ask for."""
_JSON_TYPES = (JSON, "application/json")

# RFC 9110 §8.3.1: type "/" subtype, then parameters. Without the first two, browsers guess.
_MEDIA_TYPE = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *;[ -~]*[!-~])?"
)


@dataclass(frozen=True, slots=True)
class Answers:
    """How this policy speaks: its realm, metadata URL, and base URI of problem types."""

    realm: str = "api"
    resource_metadata: str | None = None
    problem_base: str | None = None

    def refusal(self, decision: Decision, *, id: str, accept: str | None) -> Refusal:
        """Return what is told of a refused `decision`.

        `id` is a random UUID that finds the log line; `accept` the client's Accept field.
        """
        kind = ANSWERS[decision.reason]
        return Refusal(
            status=kind.status,
            title=HTTPStatus(kind.status).phrase,
            error=kind.error,
            scopes=decision.scopes,
            reason=decision.reason,
            id=id,
            accept=accept,
            acr_values=decision.acr_values,
            max_age=decision.max_age,
        )

    def answer(self, refusal: Refusal, body: Body | None = None) -> Answer:
        """Render a refusal, with a body of our own unless one is given.

        The client learns the status and the OAuth error code, never which rule or check failed.
        """
        headers = [("cache-control", "no-store")]
        if ANSWERS[refusal.reason].challenged:
            headers.append(("www-authenticate", self._challenge(refusal)))
        if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("retry-after", f"{RETRY_AFTER:.0f}"))
        media_type, content = body or self._body(refusal)
        headers += [("content-type", media_type), ("content-length", str(len(content)))]
        return Answer(refusal.status, tuple(headers), content)

    def _body(self, refusal: Refusal) -> Body:
        if not _accepts_json(refusal.accept):
            text = f"{refusal.status} {refusal.title}\nid: {refusal.id}\n"
            return Body("text/plain; charset=utf-8", text.encode())
        slug = refusal.error or refusal.title.lower().replace(" ", "_")
        problem = {
            "type": f"{self.problem_base}{slug}" if self.problem_base else "about:blank",
            "title": refusal.title,
            "status": refusal.status,
            "instance": f"urn:uuid:{refusal.id}",
        }
        if refusal.error:
            problem["error"] = refusal.error
        return Body(JSON, json.dumps(problem).encode())

    def _challenge(self, refusal: Refusal) -> str:
        return challenge(
            self.realm,
            error=refusal.error,
            scopes=refusal.scopes,
            acr_values=refusal.acr_values,
            max_age=refusal.max_age,
            resource_metadata=self.resource_metadata,
        )


def checked_body(body: object) -> Body | None:
    """Return what a renderer returned if it can be sent; raises TypeError or ValueError."""
    if body is None:
        return None
    if not isinstance(body, tuple):
        raise TypeError("a renderer returns a Body, or None")
    media_type, content = cast("tuple[object, ...]", body)
    if not isinstance(media_type, str) or not isinstance(content, bytes):
        raise TypeError("a body is a media type (str) and its content (bytes)")
    # RFC 9110 §5.5: a line break in a field would be a field, or an answer, of somebody else's;
    # a space at its edge is one that servers refuse to send.
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ValueError("a media type is as in `text/html; charset=utf-8`")
    return Body(media_type, content)


def metadata(resource: str, issuers: tuple[str, ...], scopes: tuple[str, ...]) -> Answer:
    """Return the protected resource metadata document (RFC 9728 §3.2), readable by any origin."""
    document: dict[str, object] = {
        "resource": resource,
        "bearer_methods_supported": ["header"],
    }
    # RFC 9728 §3.2: parameters with zero values are omitted
    if issuers:
        document["authorization_servers"] = issuers
    if scopes:
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
