"""Opaque tokens: whom to ask about one, what to ask, and what the answer proves (RFC 7662).

An answer is judged like the claims of a JWT. What is no answer is our failure, and says nothing
about the token: only `"active": false` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlencode

from authz_middleware.tokens import media_types, strict_json
from authz_middleware.tokens.claims import Verified, verify_members
from authz_middleware.tokens.introspection_table import Introspection
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.rejection import Rejected

__all__ = [
    "Introspected",
    "NoAnswer",
    "OpaqueToken",
    "Question",
    "judge",
    "names_its_issuer",
    "prefixes",
    "question",
    "read",
    "recipient",
]

# A JWS or JWE in compact form: at least two dots, and a header that begins with `{`, whose
# base64url begins with "e" and one of these.
_NAMES_ITS_ISSUER: Final = re.compile(r"e[wxyz][^.]*\.[^.]*\.")

# Answers that say something about us or about the moment, and nothing about the token: who is
# asked next would say the same (RFC 6749 §5.2, RFC 6585 §4, RFC 9110 §15.6).
_GENERAL: Final = frozenset({401, 403, 429, 502, 503, 504})

# RFC 7662 §2.2 lets a server answer for refresh tokens too. Marks by which they are told apart:
# `token_use` of Hydra and Cognito, `typ` of Keycloak and RFC 9068. Where a mark is there, it must
# be an access token's.
_ACCESS_TOKEN: Final = {
    "token_type": frozenset({"bearer"}),  # RFC 6749 §7.1, in any case
    "token_use": frozenset({"access", "access_token"}),
    "typ": frozenset({"bearer", "at+jwt", "jwt"}),
}


@dataclass(frozen=True, slots=True)
class OpaqueToken:
    """A token's text on its way to its issuer; never shown."""

    text: str = field(repr=False)


class Question(NamedTuple):
    """One introspection request (RFC 7662 §2.1), always a POST."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Question({self.url!r})"


class Introspected(NamedTuple):
    """What became of a question. One of the three is set."""

    verified: Verified | None = None
    refused: str = ""  # the token is not to be believed: the detail for the log
    unavailable: str = ""  # nobody knows: the detail for the log


class NoAnswer(Exception):
    """The issuer was asked and did not tell. The text holds nothing of what it sent.

    `general` is whether asking about another token would end no better.
    """

    def __init__(self, what: str, *, general: bool = False) -> None:
        self.general = general
        super().__init__(what)


def names_its_issuer(token: str) -> bool:
    """Whether `token` is in the form of a JWT: it goes to the issuer it names, or to nobody."""
    return _NAMES_ITS_ISSUER.match(token) is not None


def prefixes(issuers: Iterable[Issuer]) -> tuple[tuple[str, Issuer], ...]:
    """The issuers of opaque tokens, by what their tokens begin with."""
    return tuple(
        (issuer.source.prefix, issuer)
        for issuer in issuers
        if isinstance(issuer.source, Introspection)
    )


def recipient(token: str, issuers: Iterable[tuple[str, Issuer]]) -> Issuer:
    """Return the one issuer that may be shown the opaque `token`, or raise Rejected.

    At load it was seen to that no two prefixes fit one token.
    """
    for prefix, issuer in issuers:
        if token.startswith(prefix):
            return issuer
    raise Rejected("unknown_prefix")


def question(introspection: Introspection, token: OpaqueToken) -> Question:
    """What to ask: the token stands in the body, never in the URL (RFC 7662 §2.1)."""
    form = [
        ("token", token.text),
        ("token_type_hint", "access_token"),
        *introspection.form,
    ]
    headers = {
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
    }
    if introspection.authorization is not None:
        headers["authorization"] = introspection.authorization
    return Question(introspection.endpoint, urlencode(form).encode("ascii"), headers)


def read(status: int, content_type: str, body: bytes) -> dict[str, Any]:
    """Return the members of an answer about an active token.

    Raises Rejected("inactive") for an inactive one (RFC 7662 §2.2), NoAnswer for all else.
    """
    if status != 200:  # a redirect is one of these, and is not followed
        raise NoAnswer(f"status {status}", general=status in _GENERAL)
    # RFC 9701 §5: a signed answer is of another type, and its signature would have to be checked.
    if content_type.partition(";")[0].strip(" \t").lower() != "application/json":
        raise NoAnswer("not application/json")
    try:
        answer = strict_json.loads(body)
    except Rejected as rejected:
        raise NoAnswer(f"not strict JSON ({rejected.detail})") from None
    if not isinstance(answer, dict):
        raise NoAnswer("not a JSON object")
    members = cast("dict[str, Any]", answer)
    active = members.get("active")
    if active is False:
        raise Rejected("inactive")
    if active is not True:  # "true" and 1 are not
        raise NoAnswer("`active` is no boolean")
    return members


def judge(answer: dict[str, Any], issuer: Issuer, now: float) -> Verified:
    """Return what an answer about an active token proves at `now`, or raise Rejected.

    It is `issuer`'s, since it came from its endpoint; where it says otherwise it is wrong.
    """
    if "iss" in answer and answer["iss"] != issuer.issuer:
        raise Rejected("wrong_issuer")
    _check_type(answer)
    return verify_members(answer, issuer, now)


def _check_type(answer: Mapping[str, Any]) -> None:
    if answer.get("token_type") == "DPoP":  # RFC 9449 §6.2
        raise Rejected("proof_of_possession_unsupported")
    for name, allowed in _ACCESS_TOKEN.items():
        if name not in answer:
            continue
        mark = answer[name]
        if not isinstance(mark, str) or media_types.normalise(mark) not in allowed:
            raise Rejected("type_not_allowed")
