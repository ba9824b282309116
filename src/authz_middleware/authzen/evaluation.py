"""An AuthZEN question as the one who is asked reads it: strictly, and nothing is guessed.

Authorization API 1.0, "Information Model", "Access Evaluations API" and "JSON Serialization". What
is missing or of the wrong type is said; what is unknown is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast, get_args

from authz_middleware.tokens import strict_json
from authz_middleware.tokens.rejection import Rejected

__all__ = [
    "MAX_BODY",
    "MAX_EVALUATIONS",
    "MAX_NAME",
    "Batch",
    "Entity",
    "Evaluation",
    "Malformed",
    "Semantic",
    "read_evaluation",
    "read_evaluations",
]

MAX_BODY: Final = 1024 * 1024
"""Bytes of a body that are read."""

MAX_EVALUATIONS: Final = 256
"""Questions in one request."""

MAX_NAME: Final = 8192
"""Characters of a type, an id or a name: they stand in the log, once for each question."""

Semantic: TypeAlias = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
_SEMANTICS: Final[tuple[Semantic, ...]] = get_args(Semantic)


class Malformed(Exception):
    """It is no question; `message` says why, in our own words and the standard's names."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Entity(NamedTuple):
    """A subject or a resource. An action has neither `type` nor `id`, but a name."""

    type: str
    id: str
    properties: Mapping[str, Any]


class Evaluation(NamedTuple):
    """One question: may `subject` do what `action` names to `resource`?"""

    subject: Entity
    action: str
    action_properties: Mapping[str, Any]
    resource: Entity
    context: Mapping[str, Any]


class Batch(NamedTuple):
    """Several questions in the order in which they are answered; one may be malformed."""

    evaluations: tuple[Evaluation | Malformed, ...]
    semantic: Semantic


def read_evaluation(body: bytes) -> Evaluation:
    """Return the question that `body` asks, or raise Malformed."""
    return _evaluation(_document(body))


def read_evaluations(body: bytes) -> Evaluation | Batch:
    """Return the questions that `body` asks, or the one, where it lists none. Raises Malformed.

    A default that is malformed is a mistake of the whole; what is wrong with one of the questions
    is that one's alone.
    """
    document = _document(body)
    listed: object = document.get("evaluations", [])
    if not isinstance(listed, list):
        raise Malformed("`evaluations` must be an array")
    semantic = _semantic(document)
    if not listed:
        return _evaluation(document)
    questions = cast("list[object]", listed)
    if len(questions) > MAX_EVALUATIONS:
        raise Malformed(f"`evaluations` has more than {MAX_EVALUATIONS} entries")
    # An entity is replaced as a whole, and never put together from two places.
    defaults = {name: read(document[name]) for name, read in _READERS.items() if name in document}
    return Batch(tuple(_one(each, defaults) for each in questions), semantic)


def _one(question: object, defaults: Mapping[str, object]) -> Evaluation | Malformed:
    try:
        return _put_together(_object(question, "an entry of `evaluations`"), defaults)
    except Malformed as malformed:
        return malformed


def _document(body: bytes) -> dict[str, object]:
    if len(body) > MAX_BODY:
        raise Malformed(f"the body has more than {MAX_BODY} bytes")
    if not body.strip():
        raise Malformed("the body is empty")
    try:
        value = strict_json.loads(body)
    except Rejected as rejected:
        raise Malformed(f"the body cannot be read: {rejected.detail}") from None
    return _object(value, "the body")


def _semantic(document: Mapping[str, object]) -> Semantic:
    options = _object(document.get("options", {}), "`options`")
    named = options.get("evaluations_semantic", "execute_all")
    for semantic in _SEMANTICS:
        if named == semantic:
            return semantic
    raise Malformed(f"`options.evaluations_semantic` must be one of {', '.join(_SEMANTICS)}")


def _evaluation(document: Mapping[str, object]) -> Evaluation:
    return _put_together(document, {})


def _put_together(members: Mapping[str, object], defaults: Mapping[str, object]) -> Evaluation:
    """Return the question; a default that several share is the same object in all of them."""
    found: dict[str, Any] = {"context": _NOTHING}
    for name, read in _READERS.items():
        if name in members:
            found[name] = read(members[name])
        elif name in defaults:
            found[name] = defaults[name]
        elif name not in found:
            raise Malformed(f"`{name}` is missing")
    name, properties = found["action"]
    return Evaluation(found["subject"], name, properties, found["resource"], found["context"])


_NOTHING: Final[Mapping[str, Any]] = {}


def _entity(value: object, name: str) -> Entity:
    members = _object(value, f"`{name}`")
    return Entity(
        _text(members, name, "type"), _text(members, name, "id"), _properties(members, name)
    )


def _action(value: object) -> tuple[str, Mapping[str, Any]]:
    members = _object(value, "`action`")
    return _text(members, "action", "name"), _properties(members, "action")


def _properties(members: Mapping[str, object], name: str) -> Mapping[str, Any]:
    return _object(members.get("properties", {}), f"`{name}.properties`")


def _text(members: Mapping[str, object], name: str, key: str) -> str:
    if key not in members:
        raise Malformed(f"`{name}.{key}` is missing")
    value = members[key]
    if not isinstance(value, str):
        raise Malformed(f"`{name}.{key}` must be a string")
    if not value:
        raise Malformed(f"`{name}.{key}` is empty")
    if len(value) > MAX_NAME:
        raise Malformed(f"`{name}.{key}` has more than {MAX_NAME} characters")
    return value


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} must be an object")
    return cast("dict[str, object]", value)


def _subject(value: object) -> Entity:
    return _entity(value, "subject")


def _resource(value: object) -> Entity:
    return _entity(value, "resource")


def _context(value: object) -> Mapping[str, Any]:
    return _object(value, "`context`")


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "subject": _subject,
    "action": _action,
    "resource": _resource,
    "context": _context,
}
"""What may stand beside `evaluations` for all of them."""
