"""What a policy asks of each operation, written into an OpenAPI description (OpenAPI 3.0 and 3.1).

Derived from the compiled policy by path and method: what the description says is what a request
gets. Role names go into the text, since a list of them would mean all, and a policy asks for any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, cast

from authz_middleware.policy.canonical import canonical
from authz_middleware.policy.converters import KINDS, Kind
from authz_middleware.policy.model import Policy, Requirement, is_public
from authz_middleware.policy.reach import Loosely, Reach
from authz_middleware.policy.rules import is_closed
from authz_middleware.policy.segments import Exact, PathTail, Plain, Segment
from authz_middleware.policy.template import Template
from authz_middleware.policy.words import who

__all__ = ["SCHEME", "SCHEME_OBJECT", "Described", "described", "wider"]

SCHEME: Final = "authz"
"""The name of our security scheme."""

SCHEME_OBJECT: Final = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_OPEN: Final = ("public", "authenticated")
"""What every valid token meets."""

_PROBLEM: Final = "AuthzProblem"
_ANSWERS: Final = {
    "401": ("AuthzUnauthorized", "There is no token, or none that can be believed."),
    "403": ("AuthzForbidden", "The token is valid, but does not allow this."),
}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """What `described` has to know beside the description.

    `converters` says by method and path which converter a parameter has in the app's router;
    `mounted_at` is the path of the app in what the policy is for, `root_path` what the app itself
    takes for its prefix; `own_bodies` says that refusals have bodies that we do not know.
    """

    policy: Policy
    converters: Mapping[tuple[str, str], Mapping[str, str]]
    mounted_at: str = ""
    root_path: str = ""
    own_bodies: bool = False


def described(document: Document, about: Described) -> Document:
    """Return a copy of `document` with the security of every operation in it."""
    copy = deepcopy(document)
    operations = [
        (about.mounted_at + path, item, method, operation, about.converters.get((method, path), {}))
        for path, item in _tables(copy.get("paths")).items()
        for method, operation in _tables(item).items()
        if method in _METHODS
    ]
    # A path without parameters is looked for first (OpenAPI 3.1, "Path Templating Matching").
    literal = {(method, canonical(path)) for path, _, method, *_ in operations if "{" not in path}
    named = {path: Template(path, tuple(map(Exact, _pieces(path)))) for path, *_ in operations}
    reach = Reach(about.policy, named.values())
    roots = dict.fromkeys(("", about.root_path.rstrip("/")))
    for path, item, method, operation, converters in operations:
        kinds = dict(_kinds(item)) | dict(_kinds(operation))
        route = [_segment(piece, converters, kinds) for piece in _pieces(path)]
        found = (
            reach.deciding(method.upper(), root + each, root)
            for each in reach.paths(route)
            if "{" not in path or (method, each) not in literal
            for root in roots
        )
        operation.setdefault("security", copy.get("security") or [])  # of the whole description
        _describe(operation, tuple(dict.fromkeys(found)))
    _define(_within(copy, "components"), own_bodies=about.own_bodies)
    return copy


def _tables(value: object) -> dict[str, Document]:
    """The entries of `value` that are tables themselves."""
    if not isinstance(value, dict):
        return {}
    entries = cast("dict[str, Any]", value)
    return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}


def _within(table: Document, name: str) -> Document:
    """The table of that name in `table`; a new one if there is none."""
    if not isinstance(table.get(name), dict):
        table[name] = {}
    found: Document = table[name]
    return found


# --- Where an operation is ---

_parameter = re.compile(r"\{([^{}]+)\}")
_ROUTED: Final[Mapping[str, Kind]] = {kind: kind for kind in KINDS}
_ONE_SEGMENT: Final = frozenset((*KINDS, "str"))
_DOCUMENTED: Final[Mapping[tuple[str, str], Kind]] = {
    ("integer", ""): "int",
    ("number", ""): "float",
    ("string", "uuid"): "uuid",
}


def _pieces(path: str) -> list[str]:
    trimmed = path.removesuffix("/")
    return trimmed[1:].split("/") if trimmed else []


def _segment(
    piece: str, converters: Mapping[str, str], kinds: Mapping[str, Kind]
) -> Segment | Loosely:
    """What the router takes there, and where that is any text, what is documented."""
    names: list[str] = _parameter.findall(piece)
    if not names:
        return Exact(piece)
    known = [converters.get(name, "str") for name in names]
    if not _ONE_SEGMENT.issuperset(known):
        return PathTail(piece)  # a converter of the app's own may take a `/`, too
    if piece != f"{{{names[0]}}}":
        return Plain(piece)  # a part of the segment only
    kind = _ROUTED.get(known[0]) or kinds.get(names[0])
    return Loosely(kind) if kind else Plain(piece)


def wider(converter: str, other: str | None) -> str:
    """Return the converter that takes what either does."""
    if other in (None, converter):
        return converter
    return next((each for each in (converter, other) if each not in _ONE_SEGMENT), "str")


def _kinds(table: Document) -> Iterator[tuple[str, Kind]]:
    for parameter in table.get("parameters") or ():
        match parameter:
            case {"in": "path", "name": str(name), "schema": {"type": str(of), **rest}}:
                if kind := _DOCUMENTED.get((of, str(rest.get("format", "")))):
                    yield name, kind
            case _:
                pass


# --- What is said of it ---


def _describe(operation: Document, found: tuple[tuple[Requirement, ...], ...]) -> None:
    """Write into `operation` what is asked by `found`: for each, all of it, on some path."""
    decided = tuple(filter(None, found)) or ((),)
    asked: list[Document] = operation.get("security") or []
    alone = any(SCHEME in each for each in asked)  # the handler wants a caller, whatever the policy
    others = [each for each in asked if {*each} != {SCHEME}]
    guarded: list[Document] = [{**each, SCHEME: []} for each in others or [{}]]
    opened = [not alone and _public(each) for each in decided]
    if not any(opened):
        operation["security"] = guarded
    elif all(opened):
        operation["security"] = others
    else:
        operation["security"] = [*(others or [{}]), *guarded]
    text = f"**Access:** {_sentence(decided, 'every valid token' if alone else 'everybody')}"
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), text)))
    responses = _within(operation, "responses")
    if not all(opened):
        _answer(responses, "401")
    if not all(each and all(map(_lets_in, each)) for each in decided):
        _answer(responses, "403")


def _public(requirements: tuple[Requirement, ...]) -> bool:
    """Whether somebody gets in without a token."""
    return bool(requirements) and is_public(requirements) and not any(map(is_closed, requirements))


def _lets_in(requirement: Requirement) -> bool:
    return requirement.kind in _OPEN and not requirement.must_check


def _answer(responses: Document, status: str) -> None:
    name, _ = _ANSWERS[status]
    responses.setdefault(status, {"$ref": f"#/components/responses/{name}"})


def _sentence(decided: tuple[tuple[Requirement, ...], ...], public: str) -> str:
    texts: dict[str, list[str]] = {}
    for requirements in decided:
        keys = " and ".join(f"`{each.ref.key}`" for each in requirements)
        texts.setdefault(who(requirements, public), []).append(keys)
    if len(texts) == 1:
        (text,) = texts
        return f"{text}."
    lines = [f"- {text}, by {', '.join(sorted(keys))}" for text, keys in texts.items()]
    return "depends on the path.\n\n" + "\n".join(sorted(lines))


def _define(components: Document, *, own_bodies: bool) -> None:
    _within(components, "securitySchemes")[SCHEME] = dict(SCHEME_OBJECT)
    content: Document = {
        "application/problem+json": {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}},
        "text/plain": {"schema": {"type": "string"}},
    }
    if not own_bodies:
        _within(components, "schemas")[_PROBLEM] = {
            "title": _PROBLEM,
            "description": "A refusal (RFC 9457). `instance` finds it in the log.",
            "type": "object",
            "required": ["type", "title", "status", "instance"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "instance": {"type": "string"},
                "error": {"type": "string"},
            },
        }
    responses = _within(components, "responses")
    for name, description in _ANSWERS.values():
        responses[name] = {
            "description": description,
            "headers": {"WWW-Authenticate": {"schema": {"type": "string"}}},
            **({} if own_bodies else {"content": content}),
        }
