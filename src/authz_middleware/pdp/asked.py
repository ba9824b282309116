"""What an AuthZEN question means to the policy: which caller, which request, which permission.

Who asks is trusted to say who the caller is, and has verified it. So no token is looked at here;
but a caller gets no more from it than a token of the issuer that is named could bring. What
cannot be told apart is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, cast
from unicodedata import normalize
from urllib.parse import urlencode

from authz_middleware.authzen.evaluation import MAX_NAME, Entity, Evaluation, Malformed
from authz_middleware.facts import ContextReads, Decision, Principal, RequestFacts, Surroundings
from authz_middleware.policy.routekey import WEBSOCKET
from authz_middleware.runtime.serving import Serving
from authz_middleware.tokens.claim_paths import follow
from authz_middleware.tokens.claims import Verified, told
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.rejection import Rejected

__all__ = ["ANONYMOUS", "ROUTE", "SUBJECT_TYPES", "Answered", "Questions"]

ROUTE: Final = "route"
"""The type of a resource that is a path; the action is the method."""

ANONYMOUS: Final = "anonymous"
"""The type of a subject whom nobody knows, whatever its id."""

SUBJECT_TYPES: Final = ("user", "identity")
"""Types of subjects that are callers with a token. An id means somebody within its type alone."""

_OWN: Final = ("issuer", "roles", "permissions", "scopes", "claims")
"""Properties of a subject that have a meaning of their own; all others are claims."""


Shared = TypeVar("Shared")
Read = TypeVar("Read")


class Answered(NamedTuple):
    """A decision, and the id by which the log has it; "" where nobody was refused."""

    decision: Decision
    id: str


class Questions:
    """The questions of one request, under one policy; what several share is read once.

    `types` are those of subjects that are callers with a token.
    """

    def __init__(self, serving: Serving, types: Collection[str]) -> None:
        self._serving: Final = serving
        self._callers: Final = _Once[Entity, "Verified | Rejected | None"](
            lambda subject: _caller(subject, serving, types)
        )
        self._around: Final = _Once[Mapping[str, Any], "Surroundings | None"](
            lambda context: _around(context, serving.settings.context_reads)
        )

    def answer(self, asked: Evaluation) -> Answered:
        """Decide, and tell the observers. Raises Malformed."""
        around = self._around.of(asked.context)
        if _normal(asked.resource.type) == ROUTE:
            return self._route(asked, around)
        permission, resource = self._permission(asked), _attributes(asked.resource)
        facts = RequestFacts("http", "", None, "", around=around)
        caller = self._callers.of(asked.subject)
        if isinstance(caller, Rejected):
            return self._rejected(facts, caller, permission)
        action = asked.action_properties
        return Answered(*self._serving.answer_about(facts, caller, permission, resource, action))

    def _route(self, asked: Evaluation, around: Surroundings | None) -> Answered:
        path, method = _path(asked.resource), asked.action
        websocket = method == WEBSOCKET
        kind: Literal["http", "websocket"] = "websocket" if websocket else "http"
        # `/users/{id}` is a path too, but who asks so means a route, and of the paths that it has
        # some may be another rule's. And what is nearly our word for a path is no other object.
        ambiguous = "{" in path or "<" in path or asked.resource.type != ROUTE
        method = "GET" if websocket else method
        facts = RequestFacts(kind, method, path, "", ambiguous=ambiguous, around=around)
        caller = self._callers.of(asked.subject)
        if isinstance(caller, Rejected):
            return self._rejected(facts, caller)
        return Answered(*self._serving.answer(facts, caller))

    def _permission(self, asked: Evaluation) -> str:
        permission = _permission(asked)
        named = self._serving.settings.policy.permissions
        if permission not in named and _normal(permission) in self._nearly_named:
            # A pattern would grant it, and what is asked by its condition would not be asked.
            raise Malformed("`resource.type:action.name` is nearly a permission of the policy")
        return permission

    @cached_property
    def _nearly_named(self) -> frozenset[str]:
        return frozenset(map(_normal, self._serving.settings.policy.permissions))

    def _rejected(self, facts: RequestFacts, rejected: Rejected, permission: str = "") -> Answered:
        decision = Decision(False, "invalid_token", detail=rejected.detail)
        return Answered(decision, self._serving.tell(facts, decision, None, permission))


class _Once(Generic[Shared, Read]):
    """What is read of objects that several questions share: of each once, by its identity.

    Where it is malformed, all of them are.
    """

    def __init__(self, read: Callable[[Shared], Read]) -> None:
        self._read: Final = read
        # What it is of is kept, so that no other takes its place.
        self._known: Final[dict[int, tuple[Shared, Read | Malformed]]] = {}

    def of(self, shared: Shared) -> Read:
        """Return what is read of it. Raises Malformed."""
        if id(shared) not in self._known:
            found: Read | Malformed
            try:
                found = self._read(shared)
            except Malformed as malformed:
                found = malformed
            self._known[id(shared)] = shared, found
        known = self._known[id(shared)][1]
        if isinstance(known, Malformed):
            raise known
        return known


_PLACE: Final = re.compile(r"\{[^{}/]+\}")


def _path(resource: Entity) -> str:
    """Return the path: the id; or `path` of the properties, where the id is a route's template."""
    path: object = resource.properties.get("path", resource.id)
    if not isinstance(path, str):
        raise Malformed("`resource.properties.path` must be a string")
    if len(path) > MAX_NAME:
        raise Malformed(f"`resource.properties.path` has more than {MAX_NAME} characters")
    if path != resource.id and not _is_of(path, resource.id):
        raise Malformed("`resource.properties.path` is no path of the route `resource.id`")
    return path


def _is_of(path: str, route: str) -> bool:
    """Whether a template may have this path; a place stands for any text, also for none."""
    first, *between = _PLACE.split(route)
    text = path.removesuffix("/") + "/"
    if not between or not text.startswith(first):
        return False
    *between, last = between
    at = len(first)
    for literal in between:
        at = text.find(literal, at)
        if at < 0:
            return False
        at += len(literal)
    # Of a last place nothing may be left, with the slash before it: `/files` of `/files/{rest}`.
    return text.endswith(last.removesuffix("/") + "/", at) or (not last and at == len(text))


def _normal(name: str) -> str:
    """Return what a reader without regard to case, forms and white space takes `name` for."""
    return "".join(normalize("NFKC", name).split()).casefold()


# --- The caller ---


def _caller(
    subject: Entity, serving: Serving, types: Collection[str]
) -> Verified | Rejected | None:
    """Return whom the subject is, expanded; None if nobody knows, or why it is nobody.

    Raises Malformed.
    """
    try:
        return _verified(subject, serving, types)
    except Rejected as rejected:
        return rejected


def _verified(subject: Entity, serving: Serving, types: Collection[str]) -> Verified | None:
    properties = subject.properties
    given = {name: _names(properties, name) for name in ("roles", "permissions", "scopes")}
    payload = _claims(properties)
    if subject.type == ANONYMOUS:
        return None
    if subject.type not in types:
        raise Rejected("unknown_subject_type")
    issuer = _issuer(payload.get("iss"), serving.settings.issuers)
    payload["iss"] = issuer.issuer
    _check_subject(subject.id, payload, issuer)
    caller = told(payload, subject.id, issuer, serving.clock())
    return serving.expanded(caller._replace(principal=_with(caller, given, issuer)))


def _claims(properties: Mapping[str, Any]) -> dict[str, Any]:
    claims: object = properties.get("claims", {})
    if not isinstance(claims, dict):
        raise Malformed("`subject.properties.claims` must be an object")
    members = cast("dict[str, Any]", claims)
    others = {name: each for name, each in properties.items() if name not in _OWN}
    for name in others:
        if name in members:
            raise Malformed("a claim stands in `subject.properties` and in its `claims`")
    payload = {**others, **members}
    told_by = ((properties, "issuer"), (payload, "iss"))
    named = [members[name] for members, name in told_by if name in members]
    if not all(isinstance(each, str) for each in named):
        raise Malformed("`subject.properties.issuer` and the claim `iss` must be strings")
    if len(set(named)) > 1:
        raise Malformed("`subject.properties.issuer` and the claim `iss` are not the same")
    if named:
        payload["iss"] = named[0]
    return payload


def _issuer(name: str | None, issuers: Mapping[str, Issuer]) -> Issuer:
    if name is None:
        if len(issuers) > 1:
            raise Rejected("missing_claim:iss")
        return next(iter(issuers.values()))
    if name not in issuers:
        raise Rejected("unknown_issuer")
    return issuers[name]


def _check_subject(id: str, payload: dict[str, Any], issuer: Issuer) -> None:
    path = issuer.claims.subject
    named = follow(payload, path)
    if named is not None and named != id:
        raise Malformed(f"`subject.id` and the claim `{'.'.join(path)}` are not the same")
    if path == ("sub",):
        payload["sub"] = id


def _with(caller: Verified, given: Mapping[str, frozenset[str]], issuer: Issuer) -> Principal:
    """Return the caller with what is told of it directly: no more than a token could bring."""
    principal = caller.principal
    roles, permissions = issuer.may_say(given["roles"], given["permissions"])
    return replace(
        principal,
        roles=principal.roles | roles,
        permissions=principal.permissions | permissions,
        scopes=principal.scopes | given["scopes"],
    )


def _names(properties: Mapping[str, Any], name: str) -> frozenset[str]:
    return frozenset(_texts(properties.get(name, []), f"subject.properties.{name}"))


def _texts(value: object, what: str) -> Sequence[str]:
    if isinstance(value, list):
        texts = cast("list[object]", value)
        if all(isinstance(each, str) for each in texts):
            return cast("list[str]", texts)
    raise Malformed(f"`{what}` must be an array of strings")


# --- The object ---


def _permission(asked: Evaluation) -> str:
    permission = f"{asked.resource.type}:{asked.action}"
    if ":" in asked.resource.type:
        # `a:b` and `c`, or `a` and `b:c`? One permission is not for two kinds of objects.
        raise Malformed("`resource.type` has a colon, which stands behind it in permissions here")
    if not permission.isprintable():
        raise Malformed("`resource.type` and `action.name` must be printable: no policy has others")
    return permission


def _attributes(resource: Entity) -> Mapping[str, Any]:
    """Return what conditions read of `resource`: its properties, its `id` and its `type`."""
    own = {"id": resource.id, "type": resource.type}
    for name, value in own.items():
        if resource.properties.get(name, value) != value:
            raise Malformed(f"`resource.{name}` and `resource.properties.{name}` are not the same")
    return {**resource.properties, **own}


# --- What is around ---


def _around(context: Mapping[str, Any], reads: ContextReads | None) -> Surroundings | None:
    """Return what conditions read of the request that is asked about.

    It is what the one who asks has seen: the other end of its connection, and the fields as they
    came. The time is ours.
    """
    ip, scheme, host = (_text(context, name) for name in ("ip", "scheme", "host"))
    fields = _fields(context)
    if host is not None and fields.setdefault("host", host) != host:
        raise Malformed("`context.host` and the field `host` are not the same")
    query = _query(context)
    if reads is None:
        return None
    return Surroundings(
        peer=ip,
        scheme=scheme or "",
        fields={name: value for name, value in fields.items() if reads.takes(name)},
        query=query if reads.query else "",
    )


def _text(context: Mapping[str, Any], name: str) -> str | None:
    value: object = context.get(name)
    if name in context and not isinstance(value, str):
        raise Malformed(f"`context.{name}` must be a string")
    return cast("str | None", value)


def _fields(context: Mapping[str, Any]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in _table(context, "headers").items():
        if not name.isascii():
            continue  # no name of a field, but in lower case it may be one: `\u212a` is a `k`
        lower = name.lower()
        if lower in fields:
            raise Malformed("a name in `context.headers` stands there twice, in other letter case")
        values = [value] if isinstance(value, str) else _texts(value, "context.headers")
        fields[lower] = ", ".join(values)
    return fields


def _query(context: Mapping[str, Any]) -> str:
    value: object = context.get("query")
    if isinstance(value, str):
        return value
    pairs = [
        (name, each)
        for name, values in _table(context, "query").items()
        for each in ([values] if isinstance(values, str) else _texts(values, "context.query"))
    ]
    return urlencode(pairs)


def _table(context: Mapping[str, Any], name: str) -> dict[str, object]:
    value: object = context.get(name, {})
    if not isinstance(value, dict):
        raise Malformed(f"`context.{name}` must be an object")
    return cast("dict[str, object]", value)
