"""The names that a condition may read: AuthZEN's subject, action, resource and context.

A name that is none of them is a mistake, since a condition over it could never hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from authz_middleware.policy.conditions.faults import Unreadable, nearest
from authz_middleware.policy.conditions.kinds import (
    ANY,
    BOOLEAN,
    MAP,
    TEXT,
    TEXTS,
    TIME,
    Kind,
)

__all__ = ["ROOTS", "UNREADABLE", "Path", "Reads", "Step", "kind_of"]

Path = tuple[str, ...]
"""Where an attribute stands: `("subject", "claims", "tenant")`."""

Step = tuple[str, int]
"""One name of a path, and its offset in the text."""

_SCHEMA: Mapping[str, Mapping[str, Kind]] = {
    "subject": {
        "id": TEXT,
        "issuer": TEXT,
        "roles": TEXTS,
        "permissions": TEXTS,
        "scopes": TEXTS,
        "claims": MAP,
        "authenticated": BOOLEAN,
    },
    "action": {"name": TEXT, "properties": MAP},
    "resource": {"params": MAP},
    "context": {
        "time": TIME,
        "ip": TEXT,
        "headers": MAP,
        "query": MAP,
        "scheme": TEXT,
        "host": TEXT,
    },
}
ROOTS = frozenset(_SCHEMA)

CREDENTIALS = frozenset(("authorization", "cookie", "proxy-authorization"))
# Everybody can write these; what listed proxies say in them stands elsewhere.
_TOLD = {
    "forwarded": "ip",
    "host": "host",
    "x-forwarded-for": "ip",
    "x-forwarded-host": "host",
    "x-forwarded-proto": "scheme",
    "x-real-ip": "ip",
}
UNREADABLE = CREDENTIALS | _TOLD.keys()
"""Header fields that no condition sees."""

_FIELD = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]+")  # RFC 9110 §5.6.2, without `_`


@dataclass(frozen=True, slots=True)
class Reads:
    """What a condition reads, for the rules that are checked at load.

    `places` says at which character of the text each path is read first.
    """

    paths: frozenset[Path]
    places: Mapping[Path, int] = field(default_factory=dict[Path, int], compare=False, repr=False)

    def place(self, *prefix: str) -> int | None:
        """Where something at `prefix` or below it is read first; None if nowhere."""
        found = (at for path, at in self.places.items() if path[: len(prefix)] == prefix)
        return min(found, default=None)

    def any(self, *prefix: str) -> bool:
        """Whether something at `prefix` or below it is read."""
        return any(path[: len(prefix)] == prefix for path in self.paths)

    @property
    def subject(self) -> bool:
        """Whether the caller is looked at at all."""
        return self.any("subject")

    @property
    def subject_without_issuer(self) -> bool:
        """A subject means someone only together with its issuer (RFC 8725 §3.8)."""
        who = self.any("subject", "id") or self.any("subject", "claims", "sub")
        return who and not (self.any("subject", "issuer") or self.any("subject", "claims", "iss"))

    @property
    def loaded(self) -> bool:
        """Whether attributes of the resource are needed, more than the parameters of the path."""
        return any(path[0] == "resource" and path[1:2] != ("params",) for path in self.paths)

    @property
    def context(self) -> frozenset[str]:
        """The attributes of the context that are read."""
        return frozenset(path[1] for path in self.paths if path[0] == "context")

    @property
    def from_client(self) -> bool:
        """Whether the caller chooses what is read: header fields, the query."""
        return self.any("context", "headers") or self.any("context", "query")

    @property
    def params(self) -> frozenset[str]:
        """The parameters of the path that are read."""
        return frozenset(
            path[2] for path in self.paths if path[:2] == ("resource", "params") and len(path) > 2
        )


def kind_of(steps: tuple[Step, ...], params: Mapping[str, Kind] | None) -> Kind:
    """The kind of the attribute at `steps`, whose first is a root. Raises Unreadable.

    `params` are the parameters of the path, None if they are not known.
    """
    (root, at), *below = steps
    known = _SCHEMA[root]
    if not below:
        raise Unreadable(
            at, f"`{root}` is read by its attributes", f"write `{root}.{_example(root)}`"
        )
    (name, at), *deeper = below
    kind = known.get(name)
    if kind is None:
        if root == "resource":
            return ANY
        raise Unreadable(at, f"`{root}` has no attribute `{name}`", nearest(name, known))
    if not deeper:
        return kind
    path = f"{root}.{name}"
    if kind is not MAP:
        what = f"`{path}` is {kind}, without attributes of its own"
        raise Unreadable(deeper[0][1], what, f"write `{path}`")
    return _member(path, deeper, params)


def _member(path: str, steps: list[Step], params: Mapping[str, Kind] | None) -> Kind:
    (name, at), *deeper = steps
    kind = ANY
    match path:
        case "context.headers":
            _check_field(name, at)
            kind = TEXT
        case "context.query":
            kind = TEXTS
        case "resource.params" if params is not None:
            found = params.get(name)
            if found is None:
                fix = nearest(name, params) if params else f"name it in the path: `/<{name}>`"
                raise Unreadable(at, f"the path has no parameter `{name}`", fix)
            kind = found
        case _:
            pass
    if deeper and kind is not ANY:
        written = f"{path}.{name}" if name.isidentifier() else f'{path}["{name}"]'
        what = f"`{written}` is {kind}, without attributes of its own"
        raise Unreadable(deeper[0][1], what, f"write `{written}`")
    return kind


def _check_field(name: str, at: int) -> None:
    if name != name.lower():
        what = "the names of header fields are in lower case here"
        raise Unreadable(at, what, f'write `context.headers["{name.lower()}"]`')
    if not _FIELD.fullmatch(name):
        # A WSGI server makes `_` of `-`, so that nobody can tell them apart.
        fix = "write it in letters, digits and `-`"
        if "_" in name:
            fix = f'write `context.headers["{name.replace("_", "-")}"]`'
        raise Unreadable(at, "this is no name of a header field", fix)
    if name in CREDENTIALS:
        fix = "read what the token says: `subject.claims`"
        raise Unreadable(at, "credentials are not for conditions to read", fix)
    if name in _TOLD:
        what = "everybody can write this field"
        raise Unreadable(at, what, f"write `context.{_TOLD[name]}`, which asks listed proxies only")


def _example(root: str) -> str:
    return {"action": "name", "context": "time", "resource": "owner"}.get(root, "id")
