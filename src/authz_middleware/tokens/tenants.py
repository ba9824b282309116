"""From an issuer's table to the exact issuers it stands for: itself, or one for each tenant.

A template such as `https://login.microsoftonline.com/{tenantid}/v2.0` is filled in at start, so
that `iss` is compared exactly (RFC 7519 §7.3) and a caller stays the pair of issuer and subject.
There is no way to write "any tenant": in most of these directories anybody can open one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from authz_middleware.tokens.marks import NO_MARK, Mark
from authz_middleware.tokens.presets import (
    NO_PRESET,
    PRESETS,
    TEMPLATE,
    Preset,
    Tenants,
    check_issuer,
)

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = ["Named", "expand", "names", "signs_for"]


@dataclass(frozen=True, slots=True)
class Named:
    """One exact issuer, and what its tokens must say of their tenant."""

    issuer: str
    tenant: Mark = NO_MARK
    tenant_id: str = ""  # of an issuer that is one of many at its provider
    from_template: bool = False


def names(section: Section) -> tuple[str, ...]:
    """The issuers that a table names, mistakes and all; nothing is reported."""
    name, listed = section.raw("issuer"), section.raw("tenants")
    if not isinstance(name, str):
        return ()
    if TEMPLATE not in name or not isinstance(listed, list):
        return (name,)
    found = [item for item in cast("list[Any]", listed) if isinstance(item, str)]
    return tuple(name.replace(TEMPLATE, tenant) for tenant in dict.fromkeys(found))


def expand(section: Section, preset: Preset, issuer: str) -> tuple[Named, ...]:
    """The issuers that a table stands for; none if something about them was reported."""
    if preset is NO_PRESET and "preset" in section:
        return ()  # an unknown one: reported
    rule = preset.tenants
    tenants = _tenants(section, rule)
    if TEMPLATE in issuer:
        if rule is None or not rule.template:
            section.error(
                "issuer",
                f"`issuer` holds {TEMPLATE}, and only {_presets(template=True)} has templates",
                "write the issuer as its tokens name it",
            )
        elif "tenants" not in section:
            section.error(
                "issuer",
                "`issuer` is a template, and no `tenants` are listed",
                "list the tenants whose tokens are believed, as in "
                f"`{section.example('tenants', ['5f1c…'])}`",
            )
        elif tenants:
            check_issuer(section, preset, issuer.replace(TEMPLATE, tenants[0]))
            return tuple(
                Named(issuer.replace(TEMPLATE, tenant), _says(rule, (tenant,)), tenant, True)
                for tenant in tenants
            )
        return ()
    check_issuer(section, preset, issuer)
    if rule is None:
        return (Named(issuer),)
    if not rule.template:
        return (Named(issuer, _says(rule, tenants) if tenants else NO_MARK),)
    found = re.fullmatch(preset.issuer, issuer)
    if found is None:
        return ()  # reported
    if "tenants" in section:
        section.error(
            "tenants",
            "`tenants` beside an issuer that names its one tenant",
            f'leave it out, or write `issuer = "{rule.template}"`',
        )
    return (Named(issuer, _says(rule, (found["tenant"],)), found["tenant"]),)


def signs_for(key_issuer: str | None, tenant: str) -> bool:
    """Whether a key that a set of many tenants ascribes to `key_issuer` may sign for `tenant`.

    Microsoft's sets do so, and a key for personal accounts once signed for organizations.
    """
    if key_issuer is None or not tenant:
        return True
    return not {TEMPLATE, tenant}.isdisjoint(key_issuer.split("/"))


def _says(rule: Tenants, tenants: tuple[str, ...]) -> Mark:
    return Mark(values=(((rule.claim,), frozenset(tenants)),))


def _tenants(section: Section, rule: Tenants | None) -> tuple[str, ...]:
    """The listed tenants that are of the provider's form."""
    if "tenants" not in section:
        return ()
    if rule is None:
        section.error(
            "tenants",
            "only tokens of some presets name a tenant",
            f"leave it out; those presets are {_presets()}",
        )
        return ()
    listed = section.texts("tenants", example=("…",))
    if section.raw("tenants") == []:
        section.error("tenants", "`tenants` is empty", "name one: else every token is refused")
    good: list[str] = []
    for tenant in listed or ():
        if re.fullmatch(rule.pattern, tenant):
            good.append(tenant)
        elif tenant == "*":
            section.error("tenants", "any tenant would be anybody", "list each one")
        else:
            section.error("tenants", f'"{tenant}" is no tenant', f"write {rule.called}")
    return tuple(good) if len(good) == len(listed or ()) else ()


def _presets(*, template: bool = False) -> str:
    return ", ".join(
        name
        for name, preset in PRESETS.items()
        if preset.tenants and (preset.tenants.template or not template)
    )
