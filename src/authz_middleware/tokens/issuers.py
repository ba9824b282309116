"""The issuers of a policy: whom we believe, how far, and with which keys.

RFC 8725 §3.1 (algorithms per issuer), §3.8 (exact issuer), §3.9 (audience), RFC 9068 §4.
Nothing is taken for granted that the policy does not say: an issuer without an audience, or
two issuers without `grants`, are mistakes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from authz_middleware.tokens import (
    claim_paths,
    introspection_table,
    key_sources,
    media_types,
    presets,
    tenants,
)
from authz_middleware.tokens.claim_paths import ClaimPaths
from authz_middleware.tokens.development import is_development_key, is_local
from authz_middleware.tokens.introspection_table import Introspection
from authz_middleware.tokens.key_sources import (
    Discovery,
    JwksUri,
    KeyConfig,
    ReadFile,
    StaticKeys,
    secure_url,
)
from authz_middleware.tokens.keys import KeySet
from authz_middleware.tokens.marks import NO_MARK, Mark
from authz_middleware.tokens.presets import TEMPLATE, Preset
from authz_middleware.tokens.signature import ALGORITHMS
from authz_middleware.tokens.tenants import Named

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = [
    "ASYMMETRIC",
    "DEFAULT_LEEWAY",
    "MAX_LEEWAY",
    "ClaimPaths",
    "Discovery",
    "Introspection",
    "Issuer",
    "JwksUri",
    "KeyConfig",
    "StaticKeys",
    "load",
    "secure_url",
]

# Seconds. RFC 7519 §4.1.4: "no more than a few minutes".
DEFAULT_LEEWAY: Final = 30.0
MAX_LEEWAY: Final = 300.0

ASYMMETRIC: Final = frozenset(name for name in ALGORITHMS if not ALGORITHMS[name].symmetric)
# secp256k1 is for those who ask for it (RFC 8812 §3.1).
_DEFAULT_ALGORITHMS: Final = ASYMMETRIC - {"ES256K"}

_DEFAULT_TOKEN_TYPES: Final = presets.NO_PRESET.token_types

_REQUIRED: Final = {
    "issuer": "who issues the tokens, exactly as they name it in `iss`",
    "audience": "what they name this service in `aud`: one name or a list of names",
}
_KNOWN: Final = (
    "issuer",
    "audience",
    "preset",
    "tenants",
    *key_sources.SOURCES,
    "jwks_cache",
    "introspection",
    "prefix",
    "algorithms",
    "token_types",
    "leeway",
    "claims",
    "role_map",
    "grants",
    "required_claims",
    "max_lifetime",
)
# Whose introspection answers have what its JWTs have, the mark included.
_ASKED_PRESETS: Final = ("keycloak",)
_PLANNED: Final = (
    "dpop",
    "mtls",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One party whose tokens are believed, under these conditions."""

    issuer: str
    audience: frozenset[str]
    source: KeyConfig | Introspection
    algorithms: frozenset[str] = _DEFAULT_ALGORITHMS
    token_types: frozenset[str] = frozenset(
        _DEFAULT_TOKEN_TYPES
    )  # normalised; "" is an absent `typ`
    leeway: float = DEFAULT_LEEWAY  # seconds
    claims: ClaimPaths = field(default_factory=ClaimPaths)
    role_map: Mapping[str, str] | None = None  # None: the token's names are ours
    grants: frozenset[str] | None = None  # our names; None: all
    required_claims: tuple[str, ...] = ()
    max_lifetime: float | None = None  # seconds from `iat` to `exp`
    audience_claim: str = "aud"  # the claim that must name this service
    mark: Mark = NO_MARK  # what tells its access tokens from its other tokens
    tenant: Mark = NO_MARK  # what its tokens must say of the tenant they come from
    tenant_id: str = ""  # of an issuer that is one of many at its provider
    from_template: bool = False  # ... and stands for one tenant of a template
    development_keys: bool = False  # whether a key that anybody may have on his disk will do

    def may_say(
        self, roles: frozenset[str], permissions: frozenset[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return those that a token of it could bring, of what somebody tells of its caller."""
        granted = roles if self.grants is None else roles & self.grants
        # A token's permissions count only where the policy says in which claim they are.
        return granted, permissions if self.claims.permissions else frozenset()

    @property
    def is_of_development(self) -> bool:
        """Whether it believes such keys: of the policy, or from another machine."""
        if isinstance(self.source, StaticKeys):
            return any(is_development_key(key.kid) for key in self.source.keys.keys)
        return self.development_keys and not is_local(self.issuer)


def load(
    sections: Sequence[Section],
    *,
    read_file: ReadFile,
    environ: Mapping[str, str],
    development_keys: bool = False,
) -> tuple[Issuer, ...]:
    """Read `[[issuers]]`. Every mistake goes to the report; an issuer with one is left out.

    With `development_keys` those of development issuers are believed for every issuer, else only
    for one on this machine.
    """
    issuers: list[Issuer] = []
    opaque: list[tuple[Section, Introspection]] = []
    seen: dict[str, str] = {}  # where each issuer stands
    alone = sum(len(tenants.names(section)) or 1 for section in sections) == 1
    for section in sections:
        found = _issuers(
            section, read_file, environ, alone=alone, development_keys=development_keys
        )
        named = tenants.names(section)
        if twice := [name for name in named if name in seen]:
            # Two sets of keys or rules for one name: one of them would be ignored.
            what = f"this issuer is listed twice: at {seen[twice[0]]} too"
            section.error("issuer", what, "make one table of the two")
        else:
            issuers += found
            opaque += [
                (section, issuer.source)
                for issuer in found
                if isinstance(issuer.source, Introspection)
            ]
        seen.update(dict.fromkeys(named, section.where("issuer")))
    introspection_table.check_prefixes(opaque)
    return tuple(issuers)


def _issuers(
    section: Section,
    read_file: ReadFile,
    environ: Mapping[str, str],
    *,
    alone: bool,
    development_keys: bool,
) -> tuple[Issuer, ...]:
    """The issuers that one table stands for: one, or one for each tenant."""
    before = len(section.report.problems)
    section.only(_KNOWN, _PLANNED)
    preset = presets.read(section)
    name = section.text("issuer", example=preset.example)
    audience = section.texts("audience", one_or_many=True, example=("my-api",))
    for key, meaning in _REQUIRED.items():
        if key not in section:
            section.error(None, f"`{key}` is missing", f"write {meaning}")
    _check_not_empty(section, "audience", "algorithms", "token_types")
    named = tenants.expand(section, preset, name) if name is not None else ()
    source_name = key_sources.named(section)
    algorithms = _algorithms(section, secret=source_name in key_sources.SECRETS)
    source: KeyConfig | Introspection | None = None
    if "introspection" in section:
        _check_opaque(section, source_name)
        source = introspection_table.read(section, name or "", read_file=read_file, environ=environ)
    elif name is not None:
        address = preset.metadata or name
        if source_name is None:
            presets.check_discovery(section, preset, address)
        source = key_sources.read(
            section, source_name, address, read_file=read_file, environ=environ
        )
    if isinstance(source, JwksUri):
        _check_address(section, source.url, named)
    if "prefix" in section and "introspection" not in section:
        what = "`prefix` is for opaque tokens, and there is no `introspection`"
        section.error("prefix", what, "leave it out, or say how the issuer is asked")
    if isinstance(source, StaticKeys) and source_name is not None:
        _check_serving(section, source_name, source.keys, algorithms)
    development_keys = development_keys or is_local(name or "")
    if isinstance(source, StaticKeys) and source_name is not None and not development_keys:
        _check_development(section, source_name, source.keys)
    grants = _grants(section, alone=alone)
    issuer = Issuer(
        issuer=name or "",
        audience=frozenset(audience or ()),
        source=source or Discovery(""),
        algorithms=algorithms,
        token_types=_token_types(section, preset),
        leeway=_leeway(section),
        claims=claim_paths.read(section, _usual_claims(preset, audience or (), grants)),
        role_map=_role_map(section),
        grants=grants,
        required_claims=section.texts("required_claims") or (),
        max_lifetime=_max_lifetime(section),
        audience_claim=preset.audience_claim,
        mark=preset.mark,
        development_keys=development_keys,
    )
    # Whatever stands in for a missing value goes no further.
    if source is None or len(section.report.problems) > before:
        return ()
    return tuple(
        replace(
            issuer,
            issuer=each.issuer,
            source=_filled_in(source, each.tenant_id),
            tenant=each.tenant,
            tenant_id=each.tenant_id,
            from_template=each.from_template,
        )
        for each in named
    )


def _check_development(section: Section, source_name: str, keys: KeySet) -> None:
    if any(is_development_key(key.kid) for key in keys.keys):
        section.error(
            source_name,
            f"`{source_name}` holds a key of a development issuer, and this one is not on this"
            " machine",
            "give the issuer's own keys; or insist, with `insecure_development_keys = true` at"
            " the top",
        )


def _check_address(section: Section, url: str, named: Sequence[Named]) -> None:
    """An address without its tenant would be another address."""
    if TEMPLATE in url and not all(each.tenant_id for each in named):
        section.error(
            "jwks_uri",
            f"`jwks_uri` holds {TEMPLATE}, and its issuer names no tenant",
            "write the address as it is",
        )


def _filled_in(source: KeyConfig | Introspection, tenant: str) -> KeyConfig | Introspection:
    if isinstance(source, (StaticKeys, Introspection)):
        return source
    file = source.cache.file
    cache = replace(source.cache, file=file and file.replace(TEMPLATE, tenant))
    source = replace(source, issuer=source.issuer.replace(TEMPLATE, tenant), cache=cache)
    if isinstance(source, JwksUri):
        return replace(source, url=source.url.replace(TEMPLATE, tenant))
    return source


def _usual_claims(
    preset: Preset, audience: Sequence[str], grants: frozenset[str] | None
) -> ClaimPaths:
    claims = preset.claims_for(audience)
    # `grants` says how far the issuer is believed: a preset alone does not go beyond.
    return claims if grants is None else replace(claims, permissions=())


def _check_opaque(section: Section, source_name: str | None) -> None:
    """Report what would decide nothing, because the issuer itself is asked about each token."""
    if source_name is not None:
        section.error(
            source_name,
            f"`{source_name}` beside `introspection`: an issuer has keys, or is asked",
            "leave one of them out",
        )
    preset = section.raw("preset")
    if preset is not None and preset not in _ASKED_PRESETS:
        section.error(
            "preset",
            "this `preset` beside `introspection`: it knows the provider's JWTs, not its answers",
            "leave it out, and write `claims`",
        )
    for name in ("algorithms", "token_types", "jwks_cache"):
        if name in section:
            section.error(
                name,
                f"`{name}` beside `introspection`: no token of this issuer is verified here",
                "leave it out",
            )


def _check_not_empty(section: Section, *names: str) -> None:
    for name in names:
        if section.raw(name) == []:
            section.error(name, f"`{name}` is empty", "name one: else every token is refused")


def _algorithms(section: Section, *, secret: bool) -> frozenset[str]:
    """The allow-list. Algorithms for a secret and algorithms for public keys never meet."""
    names = section.texts("algorithms", example=("RS256", "ES256"))
    if names is None:
        return frozenset({"HS256"}) if secret else _DEFAULT_ALGORITHMS
    for name in names:
        if name not in ALGORITHMS:
            section.error("algorithms", f'"{name}" is no algorithm we verify', _suggest(name))
    known = frozenset(names) & ALGORITHMS.keys()
    symmetric, asymmetric = sorted(known - ASYMMETRIC), sorted(known & ASYMMETRIC)
    if symmetric and asymmetric:
        # RFC 8725 §2.1: the token would say whether a public key is a secret.
        section.error(
            "algorithms",
            f"{', '.join(symmetric)} (secret) beside {', '.join(asymmetric)} (public key)",
            "keep one of the two kinds",
        )
    elif symmetric and not secret:
        section.error(
            "algorithms",
            f"{', '.join(symmetric)} needs a secret",
            "name it with `secret_env` or `secret_file`, or use an asymmetric algorithm",
        )
    elif asymmetric and secret:
        section.error(
            "algorithms",
            f"{', '.join(asymmetric)} cannot be verified with a secret",
            "use HS256, HS384 or HS512, or give public keys",
        )
    return known


def _suggest(name: str) -> str:
    if name.lower() == "none":
        return "leave it out: a token without a signature is never accepted"
    folded = {known.lower(): known for known in ALGORITHMS}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    if near:
        return f"did you mean {folded[near[0]]}?"
    return "known algorithms: " + ", ".join(ALGORITHMS)


def _check_serving(
    section: Section, source_name: str, keys: KeySet, algorithms: frozenset[str]
) -> None:
    """Keys that serve none of the algorithms verify nothing; a secret serves all of its own."""
    if source_name in key_sources.SECRETS:
        for name in sorted(algorithms - keys.algorithms - ASYMMETRIC):
            section.error(
                source_name,
                f"`{source_name}` is too short for {name}",
                f"use at least {ALGORITHMS[name].minimum} random bytes, or leave {name} out",
            )
    elif algorithms and keys.algorithms.isdisjoint(algorithms):
        section.error(
            source_name,
            f"no key of `{source_name}` can verify {', '.join(sorted(algorithms))}",
            f"its keys can verify {', '.join(sorted(keys.algorithms))}: see `algorithms`",
        )


def _token_types(section: Section, preset: Preset) -> frozenset[str]:
    types = section.texts("token_types", allow_empty=True, example=("at+jwt",))
    return frozenset(map(media_types.normalise, types or preset.token_types))


def _leeway(section: Section) -> float:
    leeway = section.number("leeway", DEFAULT_LEEWAY, unit="seconds")
    if not 0 <= leeway <= MAX_LEEWAY:
        section.error(
            "leeway",
            f"`leeway` must be from 0 to {MAX_LEEWAY:.0f} seconds",
            "write one of these: it only makes up for clocks that differ (RFC 7519 §4.1.4)",
        )
    return leeway


def _max_lifetime(section: Section) -> float | None:
    lifetime = section.number("max_lifetime", unit="seconds", example=3600)
    if lifetime is not None and lifetime <= 0:
        what = "`max_lifetime` must be a number of seconds above 0"
        section.error("max_lifetime", what, f"write `{section.example('max_lifetime', 3600)}`")
    return lifetime


def _role_map(section: Section) -> Mapping[str, str] | None:
    table = section.table("role_map")
    if table is None:
        return None
    names = {name: table.text(name, example="admin") for name in table}
    return MappingProxyType({name: ours for name, ours in names.items() if ours is not None})


def _grants(section: Section, *, alone: bool) -> frozenset[str] | None:
    names = section.texts("grants", example=("viewer",))
    if names is None:
        if not alone and "grants" not in section:
            section.error(
                None,
                "with several issuers each needs `grants`, the roles it may give",
                'list them, or write `grants = ["*"]` for all',
            )
        return None
    if "*" in names and len(names) > 1:
        what = '"*" stands for all roles and needs no others beside it'
        section.error(
            "grants", what, f"write `{section.example('grants', ['*'])}`, or leave it out"
        )
    return None if "*" in names else frozenset(names)
