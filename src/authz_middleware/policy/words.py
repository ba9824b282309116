"""What requirements ask of a caller, in words."""

from __future__ import annotations

from authz_middleware.policy.needs import (
    Acr,
    All,
    AnyIssuer,
    AnyRole,
    Load,
    MaxAge,
    Need,
    Not,
    Pdp,
    Permissions,
    Scopes,
    When,
)
from authz_middleware.policy.rules import Requirement, is_closed

__all__ = ["BY_CLIENT", "in_words", "printable", "who"]

BY_CLIENT = "lets in by header fields or the query, which the client chooses"
"""Said of such a rule in every report."""


def who(requirements: tuple[Requirement, ...], public: str = "everybody") -> str:
    """Say who meets all of `requirements`; `public` are those whom a public rule lets in."""
    if not requirements or any(map(is_closed, requirements)):
        return "nobody"
    rules = [each for each in requirements if each.kind != "forbid"]
    asked = [each for each in rules if each.kind != "public"] or rules
    text = " and ".join(dict.fromkeys(_words(each, public) for each in asked))
    forbids = dict.fromkeys(
        in_words(each.need) for each in requirements if each.kind == "forbid" and each.need
    )
    return f"{text}, but not with {' or '.join(forbids)}" if forbids else text


def _words(requirement: Requirement, public: str) -> str:
    text = public if requirement.kind == "public" else "every valid token"
    if requirement.need is not None:
        text = in_words(requirement.need, outermost=True)
    if requirement.must_check:
        text += f" and what the handler asks about `{requirement.must_check}`"
    return text


def in_words(need: Need, *, outermost: bool = False) -> str:
    """Say what is needed; in brackets where more may stand beside it."""
    match need:
        case AnyRole(names):
            return _names("one of the roles", "the role", sorted(names))
        case Permissions(names):
            return _names("the permissions", "the permission", names)
        case Scopes(names):
            return _names("the scopes", "the scope", names)
        case AnyIssuer(names):
            return _names("a token of one of", "a token of", sorted(names))
        case Load(loader):
            return f"an object that the loader `{loader}` finds"
        case Pdp(name):
            return f"a yes of the decision point `{name}`"
        case When(condition, permission=permission):
            attached = f" of the permission `{permission}`" if permission else ""
            chosen = " (of what the client sends)" if condition.from_client else ""
            return f"the condition `{condition.text}`{attached}{chosen}"
        case Acr(names):
            return _names("an authentication of one of", "an authentication of", names)
        case MaxAge(seconds):
            return f"an authentication in the last {seconds} seconds"
        case Not(part):
            return f"not {in_words(part)}"
        case All(parts):
            text = " and ".join(map(in_words, parts))
            return text if outermost else f"({text})"
        case _:
            return f"({' or '.join(map(in_words, need.parts))})"


def _names(many: str, one: str, names: tuple[str, ...] | list[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return f"{many if len(names) > 1 else one} {listed}"


def printable(text: str) -> str:
    """Return `text` without what steers a terminal, ends a line or turns its direction."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
