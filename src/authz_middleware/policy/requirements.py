"""One requirement of `[routes]`: a word, a list of roles or a table, checked against the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from authz_middleware.document import Section
from authz_middleware.document.paths import KeyPath, dotted
from authz_middleware.document.values import kind
from authz_middleware.facts import RuleRef
from authz_middleware.policy import load_key, pdp_key, shadows
from authz_middleware.policy import when as conditions
from authz_middleware.policy.names import (
    Names,
    check_issuers,
    check_permission,
    check_roles,
    check_tokens,
)
from authz_middleware.policy.needs import (
    Acr,
    All,
    AnyIssuer,
    AnyRole,
    Load,
    MaxAge,
    Need,
    Not,
    OneOf,
    Permissions,
    Scopes,
)
from authz_middleware.policy.parameters import kinds
from authz_middleware.policy.rules import Requirement
from authz_middleware.policy.template import Template

__all__ = [
    "MAX_DEPTH",
    "REQUIREMENT_KEYS",
    "REQUIREMENT_PLANNED",
    "joined",
    "read",
    "required",
]

REQUIREMENT_KEYS = (
    "roles",
    "permissions",
    "issuers",
    "when",
    "scopes",
    "acr",
    "max_age",
    "load",
    "pdp",
    "must_check",
    "any",
    "all",
    "not",
    "mode",
)
REQUIREMENT_PLANNED = ("dpop",)
WORDS: tuple[Literal["public", "authenticated", "deny"], ...] = ("public", "authenticated", "deny")

MAX_DEPTH = 8
"""How deep `any`, `all` and `not` may stand in each other; nobody reads more."""


def read(
    section: Section, text: str, names: Names, template: Template, *, trial: bool = False
) -> Requirement:
    """Read the requirement under the key `text`; mistakes go to the section's report.

    `template` is that of its path. Parts on trial count only with `trial`, as if they were
    enforced.
    """
    ref = RuleRef(text, section.where(text))
    value: object = section.raw(text)
    if isinstance(value, str):
        return _word(section, text, value, ref)
    if isinstance(value, (list, Mapping)):
        value = cast("object", value)
        must_check = _must_check(section, text, value, names)
        if must_check and _keys(value) == {"must_check"}:
            return Requirement("authenticated", ref, must_check=must_check)
        reader = _Reader(names, section, template, kinds(template), trial)
        need = reader.requirement((*section.path, text), value, _Around(must_check=must_check))
        if need is None:
            return Requirement("deny", ref)
        return Requirement("table", ref, need, must_check=must_check)
    section.error(
        text,
        "this is not a requirement",
        'write "public", "authenticated", "deny", a list of roles, or a table such as'
        ' { permissions = ["article:write"] }',
    )
    return Requirement("deny", ref)


def _must_check(section: Section, text: str, value: object, names: Names) -> str:
    """Read the permission that the handler must ask about; "" if none is named."""
    if not isinstance(value, Mapping) or not (table := section.table(text)):
        return ""
    permission = table.text("must_check", example="article:write") or ""
    if permission:
        check_permission(table, permission, names, "must_check")
        shadows.check_mode(table)
    return permission


def _keys(value: object) -> set[str]:
    """Return what is asked in a table, whether it is on trial or not."""
    return set(cast("Mapping[str, Any]", value)) - {"mode"} if isinstance(value, Mapping) else set()


def _word(section: Section, text: str, word: str, ref: RuleRef) -> Requirement:
    for known in WORDS:
        if word == known:
            return Requirement(known, ref)
    section.error(
        text,
        f'"{word}" is not a requirement',
        f'write "public", "authenticated" or "deny"; a role goes in a list: ["{word}"]',
    )
    return Requirement("deny", ref)


class _Around(NamedTuple):
    """What stands around a requirement: how many joints, and what they and the route name."""

    depth: int = 0
    issuers: bool = False
    load: Load | None = None
    must_check: str = ""

    def inside(self, table: Section, load: Load | None) -> _Around:
        """Return it for what stands in `table`."""
        named = table.raw("issuers")  # of two, a subject may still be of either
        one = isinstance(named, (list, tuple)) and len(cast("list[object]", named)) == 1
        issuers = self.issuers or one
        return self._replace(issuers=issuers, load=load or self.load)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what stands below one key. None is returned for what is not to be served."""

    names: Names
    section: Section
    template: Template
    params: Mapping[str, str]  # of its path, with their converters
    trial: bool

    def error(self, path: KeyPath, what: str, fix: str) -> None:
        self.section.report.error(path, what, fix)

    def requirement(self, path: KeyPath, value: object, around: _Around) -> Need | None:
        """Read a list of roles or a table."""
        if around.depth > MAX_DEPTH:
            self.error(
                path,
                f"more than {MAX_DEPTH} of `any`, `all` and `not` inside each other",
                "name a role or a permission for the combination",
            )
            return None
        match value:
            case {}:
                return self._table(path, cast("Mapping[str, Any]", value), around)
            case list():
                return self._roles(path, cast("list[Any]", value))
            case str(word):
                self._inner_word(path, word)
            case _:
                self.error(
                    path,
                    f"this is not a requirement, but {kind(value)}",
                    "write a list of roles or a table",
                )
        return None

    def _roles(self, path: KeyPath, value: list[Any]) -> Need | None:
        if not value:
            fix = 'write "deny", or name the roles that may'
            self.error(path, "an empty list lets nobody in", fix)
            return None
        called = dotted(path[len(self.section.path) :])
        roles = self.section.strings(
            ((*path, index), f"`{called}[{index}]`", each) for index, each in enumerate(value)
        )
        check_roles(self.section.report, path, roles, self.names.roles.declared)
        return AnyRole(frozenset(roles))

    def _inner_word(self, path: KeyPath, word: str) -> None:
        what = f'"{word}" cannot stand inside `any`, `all` or `not`'
        if word == "public":
            fix = 'make it a route of its own: "public" admits callers without a token'
        elif word == "authenticated":
            fix = "leave it out: every table needs a valid caller"
        elif word == "deny":
            fix = "leave it out: nobody would ever meet it"
        else:
            what = f'"{word}" is not a requirement'
            fix = f'write a list of roles or a table; a role goes in a list: ["{word}"]'
        self.error(path, what, fix)

    def _table(self, path: KeyPath, mapping: Mapping[str, Any], around: _Around) -> Need | None:
        table = Section(self.section.document, self.section.report, path, mapping)
        table.only(REQUIREMENT_KEYS, REQUIREMENT_PLANNED)
        shadows.check_mode(table)
        if around.depth and "must_check" in table:
            table.error(
                "must_check",
                "`must_check` cannot stand inside `any`, `all` or `not`",
                "write it in the route's own table: it is about the handler, not the caller",
            )
        if not _keys(mapping):
            table.error(
                None,
                "an empty table requires nothing",
                'write "authenticated" if any verified caller may, or name what is required',
            )
        load = load_key.read(table, self.names)
        inside = around.inside(table, load)
        needs = self._leaves(table, inside)
        if load is not None:
            needs.append(load)
        pdp = pdp_key.read(table, self.names, self.template)
        if pdp is not None:
            needs.append(pdp)
        needs += self._joints(table, inside._replace(depth=around.depth + 1))
        self._contradictions(table, needs)
        if not needs and any(map(self._left_out, shadows.parts(table))):
            table.error(
                None,
                "nothing enforced stands beside what is on trial here",
                'write `mode = "shadow"` once, for all of it, or say what is enforced meanwhile',
            )
        return joined(needs)

    def _left_out(self, value: object) -> bool:
        return not self.trial and shadows.is_shadow(value)

    def _leaves(self, table: Section, inside: _Around) -> list[Need]:
        """Read what asks one thing, in the order in which failures answer."""
        names, needs = self.names, list[Need]()
        if roles := required(table, "roles"):
            check_roles(table.report, (*table.path, "roles"), roles, names.roles.declared)
            needs.append(AnyRole(frozenset(roles)))
        if permissions := required(table, "permissions"):
            for permission in permissions:
                check_permission(table, permission, names)
            needs.append(Permissions(permissions, names.roles))
            needs += self._attached(table, permissions, inside)
        if issuers := required(table, "issuers"):
            check_issuers(table, issuers, names.issuers)
            needs.append(AnyIssuer(frozenset(issuers)))
        when = conditions.read(
            table, names, params=self.params, issuer_named=inside.issuers, load=inside.load
        )
        if when:
            needs.append(when)
        if scopes := required(table, "scopes"):
            check_tokens(table, "scopes", "scope", scopes, "RFC 6749 §3.3")
            needs.append(Scopes(scopes))
        if acr := required(table, "acr"):
            check_tokens(table, "acr", "acr", acr, "RFC 9470 §3")
            needs.append(Acr(acr))
        seconds = _max_age(table)
        if seconds is not None:
            needs.append(MaxAge(seconds, names.leeways))
        return needs

    def _attached(
        self, table: Section, permissions: Sequence[str], inside: _Around
    ) -> Iterator[Need]:
        """Yield the conditions that `[permissions]` attaches to these."""
        for permission in permissions:
            condition = self.names.conditions.get(permission)
            if condition is None:
                continue
            if unknown := sorted(condition.reads.params - self.params.keys()):
                table.error(
                    "permissions",
                    f"the condition of `{permission}` reads `resource.params.{unknown[0]}`, which"
                    " this path does not have",
                    "name the parameter so, or require another permission",
                )
            if condition.reads.any("action", "properties"):
                table.error(
                    "permissions",
                    f"the condition of `{permission}` reads `action.properties`, which no request"
                    " has",
                    "require another permission: this one is for those who ask a decision point",
                )
            if condition.reads.loaded and inside.load is None:
                if inside.must_check != permission:
                    table.error(
                        "permissions",
                        f"the condition of `{permission}` reads attributes of an object, and"
                        " nothing loads it here",
                        f'write `load = "…"`, or have the handler ask: must_check = "{permission}"',
                    )
                continue  # the handler asks, with the object
            yield conditions.applied(
                condition,
                self.names,
                params=self.params,
                load=inside.load,
                permission=permission,
            )

    def _joints(self, table: Section, inside: _Around) -> list[Need]:
        needs: list[Need] = []
        if parts := self._parts(table, "any", inside):
            needs.append(OneOf(parts))
        if parts := self._parts(table, "all", inside):
            needs.append(All(parts))
        if "not" in table:
            value = table.raw("not")
            if _several(value):
                fix = "write `not = { any = [ … ] }`"
                table.error("not", "`not` takes one requirement, not a list of them", fix)
            elif self._left_out(value):
                pass
            elif part := self.requirement((*table.path, "not"), value, inside):
                if isinstance(part, Not):
                    table.error("not", "`not` of `not` says nothing new", "leave out both")
                needs.append(Not(part))
        return needs

    def _parts(self, table: Section, name: str, inside: _Around) -> tuple[Need, ...]:
        if name not in table:
            return ()
        value, path = table.raw(name), (*table.path, name)
        if not isinstance(value, list):
            table.error(
                name,
                f"`{name}` must be a list of requirements, not {kind(value)}",
                f'write `{name} = [["admin"], {{ permissions = ["article:write"] }}]`',
            )
            return ()
        values = cast("list[Any]", value)
        if not values:
            table.error(name, f"an empty `{name}` requires nothing", f"remove `{name}`")
        parts: list[Need] = []
        for index, each in enumerate(values):
            if self._left_out(each):
                continue
            part = self.requirement((*path, index), each, inside)
            if part is not None and part in parts and not shadows.holds(values):
                self.error((*path, index), f"this part of `{name}` stands there twice", "remove it")
            elif part is not None and part not in parts:
                parts.append(part)
        return tuple(parts)

    def _contradictions(self, table: Section, needs: Sequence[Need]) -> None:
        """Report what one caller can never meet: a role that brings along what `not` excludes."""
        closure = self.names.roles.closure
        asked = [need for need in needs if isinstance(need, AnyRole)]
        for need in needs:
            if isinstance(need, Not) and isinstance(need.part, AnyRole):
                excluded = need.part.names
                for roles in asked:
                    if all(not excluded.isdisjoint(closure.get(r, {r})) for r in roles.names):
                        table.error(
                            "not",
                            "nobody could ever meet this: whoever has one of `roles` has one of"
                            f" {', '.join(sorted(excluded))}",
                            "take one of them out; a role has all that it inherits",
                        )


def _several(value: object) -> bool:
    """Whether it is a list of requirements, not of roles."""
    inside = cast("list[object]", value) if isinstance(value, list) else ()
    return any(isinstance(each, (list, Mapping)) for each in inside)


def joined(needs: Sequence[Need]) -> Need | None:
    """Return the need for all of `needs`, one alone as it is; None without any."""
    return needs[0] if len(needs) == 1 else All(tuple(needs)) if needs else None


def required(table: Section, name: str) -> tuple[str, ...]:
    """Read a list of names; an empty one is a mistake."""
    if table.raw(name) is None:
        return ()
    values = table.texts(name)
    if values == ():
        table.error(name, f"an empty `{name}` requires nothing", f"remove `{name}` or name some")
    return values or ()


def _max_age(table: Section) -> int | None:
    seconds = table.number("max_age", unit="seconds", example=300)
    if seconds is None:
        return None
    # RFC 9470 §3: a non-negative integer.
    if seconds < 0 or not isinstance(seconds, int):
        what = "`max_age` is a whole number of seconds, 0 or more"
        table.error("max_age", what, f"write `{table.example('max_age', 300)}`")
        return None
    return seconds
