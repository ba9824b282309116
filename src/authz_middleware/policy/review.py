"""What a policy may say, and seldom should: rules and roles that look like mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from authz_middleware.document.paths import KeyPath
from authz_middleware.errors import Notice
from authz_middleware.policy.converters import strict
from authz_middleware.policy.model import Policy
from authz_middleware.policy.needs import AnyIssuer, AnyRole, Need, Permissions, walk
from authz_middleware.policy.rights import ANONYMOUS, Caller, Rights, change, role_sets
from authz_middleware.policy.rules import Requirement, Rule, is_closed
from authz_middleware.policy.segments import (
    AnyOf,
    DoubleStar,
    Exact,
    PathTail,
    Plain,
    Segment,
    Typed,
)
from authz_middleware.policy.template import Template
from authz_middleware.policy.words import BY_CLIENT

__all__ = ["KINDS", "OF_RULES", "of_rules", "review", "role_names"]

OF_RULES = ("by-client", "public-tree", "wider-rule")
"""Kinds of single rules that let in more than may be meant."""

KINDS = (
    *OF_RULES,
    "always-met",
    "never-met",
    "ungranted-permission",
    "unobtainable-role",
    "unused-role",
)

Where: TypeAlias = Callable[[KeyPath], str]
_Ruled: TypeAlias = tuple[Template, Rule]

NAMED = 3
"""Callers that are named of those whom a rule lets in beside the ones it should."""


def review(policy: Policy, rights: Rights, where: Where) -> list[Notice]:
    """Return what looks like a mistake in `policy`; `where` says where a key stands."""
    return [
        *_roles(policy, where),
        *_permissions(policy),
        *_unobtainable(policy, rights),
        *_constant(policy, rights),
        *of_rules(policy, rights),
    ]


def of_rules(policy: Policy, rights: Rights) -> list[Notice]:
    """Return what looks wider than meant, rule by rule."""
    return [*_by_client(policy), *_public_trees(policy), *_wider(policy, rights)]


def role_names(policy: Policy) -> list[str]:
    """Return the roles of [roles], or, without that table, those that some key names."""
    declared = policy.roles.declared
    return sorted(_named(policy) if declared is None else declared)


def _needs(policy: Policy) -> Iterator[tuple[Requirement, Need]]:
    for requirement in (*policy.requirements, *policy.forbids.requirements):
        if requirement.need is not None:
            yield requirement, requirement.need


def _named(policy: Policy) -> frozenset[str]:
    leaves = (leaf for _, need in _needs(policy) for leaf in walk(need))
    return frozenset(name for leaf in leaves if isinstance(leaf, AnyRole) for name in leaf.names)


def _asked(policy: Policy) -> frozenset[str]:
    leaves = (leaf for _, need in _needs(policy) for leaf in walk(need))
    return frozenset(
        name for leaf in leaves if isinstance(leaf, Permissions) for name in leaf.names
    )


# --- Roles and permissions ---


def _roles(policy: Policy, where: Where) -> Iterator[Notice]:
    named, asked, roles = _named(policy), _asked(policy), policy.roles
    for role in sorted(roles.declared or ()):
        if not named.isdisjoint(roles.closure[role]):
            continue
        if any(roles.could_grant(permission, {role}) for permission in asked):
            continue
        what = f"no rule asks for role `{role}`"
        fix = "remove it, or name it where it should count"
        if roles.permissions[role]:
            what += ", nor for a permission that it brings"
            fix = "remove it, unless the app itself asks for them"
        yield Notice("unused-role", role, where(("roles", role)), what, fix)


def _permissions(policy: Policy) -> Iterator[Notice]:
    """Yield permissions that roles do not bring, where roles are what brings permissions."""
    brought = frozenset[str]().union(*policy.roles.permissions.values())
    if not brought:
        return
    for requirement, need in _needs(policy):
        for leaf in walk(need):
            for name in leaf.names if isinstance(leaf, Permissions) else ():
                if policy.roles.could_grant(name):
                    continue
                near = get_close_matches(name, sorted(brought), n=1)
                yield Notice(
                    "ungranted-permission",
                    name,
                    requirement.ref.where,
                    f"no role brings permission `{name}`; only a token that carries it can have it",
                    f"did you mean `{near[0]}`?" if near else "give it to a role",
                )


def _unobtainable(policy: Policy, rights: Rights) -> Iterator[Notice]:
    """Yield requirements for roles of which no issuer gives any."""
    given = rights.obtainable
    if given is None:
        return
    had = frozenset(given).union(*(policy.roles.closure.get(role, ()) for role in given))
    for requirement, need in _needs(policy):
        for leaf in walk(need, into_not=requirement.kind == "forbid"):
            if isinstance(leaf, AnyRole) and had.isdisjoint(leaf.names):
                names = ", ".join(f"`{name}`" for name in sorted(leaf.names))
                yield Notice(
                    "unobtainable-role",
                    requirement.ref.key,
                    requirement.ref.where,
                    f"no issuer gives {names}",
                    "see the `grants` and the `role_map` of the issuers",
                )


# --- Rules ---


def _constant(policy: Policy, rights: Rights) -> Iterator[Notice]:
    names = role_names(policy)
    for requirement, need in _needs(policy):
        if not _may_be_constant(need):
            continue
        met = [
            (rights.of((requirement,), caller), rights.given_by(caller))
            for caller in map(Caller, role_sets(names, [(policy.roles, [need])]))
        ]
        about, where = requirement.ref.key, requirement.ref.where
        forbid = requirement.kind == "forbid"
        if all(change(False, right, given).gained is False for right, given in met):
            what = "it holds for every valid token" if forbid else "nobody can ever meet this"
            fix = "leave out whom it names" if forbid else 'write "deny", or take a part out'
            yield Notice("never-met", about, where, what, fix)
        elif all(change(True, right, given).lost is False for right, given in met):
            what = "it holds for nobody" if forbid else "every valid token meets this"
            fix = "remove it" if forbid else 'write "authenticated", or take a part out'
            yield Notice("always-met", about, where, what, fix)


def _may_be_constant(need: Need) -> bool:
    """Whether it excludes anything, or asks for an issuer, of which there may be but one."""
    positive = sum(1 for _ in walk(need, into_not=False))
    return positive < sum(1 for _ in walk(need)) or any(
        isinstance(leaf, AnyIssuer) for leaf in walk(need)
    )


def _by_client(policy: Policy) -> Iterator[Notice]:
    fix = "ask for what a token or the path says, or keep it for what a client may choose"
    for ref in policy.by_client:
        yield Notice("by-client", ref.key, ref.where, f"it {BY_CLIENT}", fix)


def _public_trees(policy: Policy) -> Iterator[Notice]:
    for _, rule in policy.rules:
        if rule.catches_all:
            for each in (*rule.by_method.values(), rule.otherwise):
                if each.kind == "public":
                    yield Notice(
                        "public-tree",
                        each.ref.key,
                        each.ref.where,
                        "whatever has no rule of its own is open to everybody",
                        "open single routes, and leave the rest to `default`",
                    )


def _wider(policy: Policy, rights: Rights) -> Iterator[Notice]:
    trees = _Trees(policy)
    names = role_names(policy)
    known: dict[tuple[object, ...], list[Caller]] = {}  # of which few differ in a policy
    for template, rule in policy.rules:
        tree = trees.around(template)
        if tree is None:
            continue
        for method, inner in (*rule.by_method.items(), ("", rule.otherwise)):
            outer = tree.requirement(method)
            # A closed tree is a default of its own.
            if is_closed(outer) or is_closed(inner):
                continue
            key = (outer.kind, outer.need, inner.kind, inner.need)
            if key not in known:
                known[key] = _let_in(policy, rights, names, outer, inner)
            if known[key]:
                yield Notice(
                    "wider-rule",
                    inner.ref.key,
                    inner.ref.where,
                    f"it lets in {_some(known[key])}, whom `{outer.ref.key}` ({outer.ref.where})"
                    " around it keeps out",
                    "is that meant?",
                )


class _Trees:
    """The rules for subtrees, but for the whole tree: that is the policy's own default."""

    def __init__(self, policy: Policy) -> None:
        self._under: dict[str | None, list[_Ruled]] = {}  # by the text of the first segment
        for template, rule in policy.rules:
            last = template.segments[-1:]
            if last and isinstance(last[0], DoubleStar | PathTail) and not rule.catches_all:
                self._under.setdefault(_first(template), []).append((template, rule))

    def around(self, inner: Template) -> Rule | None:
        """Return the most specific one that all paths of `inner` are in."""
        first = _first(inner)
        near = self._under.get(first, ()) if first is not None else ()
        found = [
            (template.rank, rule)
            for template, rule in (*near, *self._under.get(None, ()))
            if template is not inner and _covers(template, inner)
        ]
        return min(found, key=lambda each: each[0])[1] if found else None


def _first(template: Template) -> str | None:
    match template.segments[:1]:
        case (Exact(text),):
            return text
        case _:
            return None


def _let_in(
    policy: Policy,
    rights: Rights,
    names: Sequence[str],
    outer: Requirement,
    inner: Requirement,
) -> list[Caller]:
    """Return the callers whom `inner` lets in, or may, and `outer` does not."""
    needs = [each.need for each in (outer, inner) if each.need is not None]
    callers = (ANONYMOUS, *map(Caller, role_sets(names, [(policy.roles, needs)])))
    return [
        each
        for each in callers
        if change(
            rights.of((outer,), each), rights.of((inner,), each), rights.given_by(each)
        ).gained
        is not False
    ]


def _some(callers: Sequence[Caller]) -> str:
    """Name the callers, but for those who are among others that are named."""
    if ANONYMOUS in callers:
        return "everybody"
    held = [each.roles or frozenset() for each in callers]
    least = [each for each in held if not any(other < each for other in held)]
    named = ", ".join(f"`{Caller(each)}`" for each in least[:NAMED])
    more = len(least) - NAMED
    return f"{named} and {more} more" if more > 0 else named


def _covers(tree: Template, inner: Template) -> bool:
    """Whether every path of `inner` is in `tree`, which ends in a tail."""
    *outer, _ = tree.segments
    if len(inner.segments) < len(outer):
        return False
    return all(map(_takes, outer, inner.segments[: len(outer)]))


def _takes(outer: Segment, inner: Segment) -> bool:
    match outer, inner:
        case _, DoubleStar() | PathTail():
            return False
        case Plain(), _:
            return True
        case AnyOf(values), AnyOf(others):
            return set(others) <= set(values)
        case AnyOf(values), Exact(text):
            return text in values
        case Typed(kind), Exact(text):
            return strict(kind, text)
        case _:
            return outer.shape == inner.shape
