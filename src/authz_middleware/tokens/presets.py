"""What the tokens of known providers look like, one preset each: data, and how it is chosen.

Whatever the issuer's table writes itself wins over its preset, but for the mark: that is no
default. RFC 8725 §3.11-12, RFC 9068. Each provider has a page in docs/providers/.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from authz_middleware.tokens.claim_paths import ClaimPaths
from authz_middleware.tokens.marks import NO_MARK, Mark

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = [
    "NO_PRESET",
    "PRESETS",
    "TEMPLATE",
    "Preset",
    "Slip",
    "Tenants",
    "check_discovery",
    "check_issuer",
    "read",
]

TEMPLATE: Final = "{tenantid}"
"""What stands for the tenant in a template, as in the provider's own metadata."""


@dataclass(frozen=True, slots=True)
class Slip:
    """An issuer that is often written and does not do; `fix` may name the `{issuer}`."""

    pattern: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenants:
    """How the provider's tokens name the tenant that they come from."""

    claim: str
    pattern: str
    called: str  # what an entry of `tenants` is
    template: str = ""  # an issuer with a place for the tenant; without one, the claim alone says


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Everything in which a stock tenant of the provider differs from RFC 9068."""

    issuer: str = r"[\s\S]*"  # the whole of it; a group `tenant` names the one tenant of the issuer
    example: str = "https://login.example.com"
    slips: tuple[Slip, ...] = ()
    token_types: tuple[str, ...] = ("at+jwt",)  # RFC 9068 §4; "" is a header without `typ`
    claims: ClaimPaths = field(default_factory=ClaimPaths)
    # Where roles stand that are roles at one audience: `None` is its name.
    audience_roles: tuple[str | None, ...] = ()
    audience_claim: str = "aud"
    mark: Mark = NO_MARK
    tenants: Tenants | None = None
    metadata: str = ""  # the issuer whose metadata names the keys; "" is the issuer itself
    hidden: Slip | None = None  # issuers whose metadata we cannot get at

    def claims_for(self, audience: Iterable[str]) -> ClaimPaths:
        """Where the tokens carry what we read, if they are for `audience`."""
        if not self.audience_roles:
            return self.claims
        paths = (
            tuple(name if part is None else part for part in self.audience_roles)
            for name in audience
        )
        return replace(self.claims, roles=(*self.claims.roles, *paths))


NO_PRESET: Final = Preset()

_GUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HOST: Final = r"https?://[^/?#\s]+"
# Claims that OpenID Connect Core §2 and §3.3.2.11 give to ID tokens alone.
_ID_TOKEN: Final = ("nonce", "at_hash", "c_hash")
_END: Final = Slip(".*/", "ends in a slash, and its tokens do not", "write it without")

PRESETS: Final[dict[str, Preset]] = {
    # `typ` in the payload is Bearer, ID, Refresh, Offline, Logout; in the header it is JWT for all.
    "keycloak": Preset(
        issuer=rf"{_HOST}(?:/[^?#\s]+)?/realms/[^/?#\s]+",
        example="https://login.example.com/realms/shop",
        slips=(_END,),
        token_types=("JWT", "at+jwt"),
        claims=ClaimPaths(roles=(("realm_access", "roles"),)),
        audience_roles=("resource_access", None, "roles"),
        mark=Mark(values=((("typ",), frozenset({"Bearer"})),)),
    ),
    # `azp` in Auth0's own profile, `client_id` in that of RFC 9068; ID tokens have neither.
    "auth0": Preset(
        issuer=f"{_HOST}/",
        example="https://shop.eu.auth0.com/",
        slips=(Slip(_HOST, "lacks the slash that its tokens have", 'write "{issuer}/"'),),
        token_types=("JWT", "at+jwt"),
        claims=ClaimPaths(roles=(), permissions=(("permissions",),)),
        mark=Mark(
            one_of=((("azp",),), (("client_id",),)), absent=_ID_TOKEN, clients=("azp", "client_id")
        ),
    ),
    # ID tokens have `roles` too, but neither `scp` nor the client in `azp` (v2) or `appid` (v1).
    "entra": Preset(
        issuer=rf"{_HOST}/(?P<tenant>{_GUID})/(?:v2\.0)?",
        example="https://login.microsoftonline.com/5f1c…/v2.0",
        slips=(
            Slip(
                rf"{_HOST}\.b2clogin\.[a-z]+/.*",
                "is of Azure AD B2C, whose tokens have another shape",
                "leave `preset` out, and write `token_types` and `claims`",
            ),
            Slip(
                r".*/(?:common|organizations|consumers|\{.*\})(?:/.*)?",
                "names no tenant, and no token carries it",
                f'write "https://login.microsoftonline.com/{TEMPLATE}/v2.0" and list `tenants`',
            ),
            Slip(
                rf"{_HOST}/{_GUID}/v2\.0/",
                "ends in a slash; v2.0 tokens do not",
                "write it without",
            ),
            Slip(f"{_HOST}/{_GUID}", "lacks the slash that v1.0 tokens have", 'write "{issuer}/"'),
        ),
        token_types=("JWT",),
        claims=ClaimPaths(scopes=(("scp",),)),
        mark=Mark(
            one_of=((("scp",),), (("roles",), ("azp",)), (("roles",), ("appid",))),
            absent=_ID_TOKEN,
        ),
        tenants=Tenants(
            claim="tid",
            pattern=_GUID,
            called="the id of a tenant: a GUID in lower case",
            template=f"https://login.microsoftonline.com/{TEMPLATE}/v2.0",
        ),
    ),
    # `cid` is the client, in access tokens only.
    "okta": Preset(
        issuer=rf"{_HOST}/oauth2/[^/?#\s]+",
        example="https://shop.okta.com/oauth2/default",
        slips=(
            _END,
            Slip(
                _HOST,
                "is Okta's own authorization server, whose access tokens are for Okta alone",
                'make an authorization server for your API, and write "{issuer}/oauth2/default"',
            ),
        ),
        token_types=("", "JWT", "at+jwt"),
        claims=ClaimPaths(roles=(("groups",),), scopes=(("scp",),)),
        mark=Mark(one_of=((("cid",), ("scp",)),), absent=_ID_TOKEN),
    ),
    "cognito": Preset(
        issuer=rf"{_HOST}/[A-Za-z0-9-]+_[A-Za-z0-9]+",
        example="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A1b2C3d4E",
        slips=(_END,),
        token_types=("", "JWT"),
        claims=ClaimPaths(roles=(("cognito:groups",),)),
        audience_claim="client_id",
        mark=Mark(values=((("token_use",), frozenset({"access"})),)),
    ),
    # Google's access tokens are opaque. These are ID tokens: whoever signs in at the client passes.
    "google": Preset(
        issuer=r"(?:https://)?accounts\.google\.com",
        example="https://accounts.google.com",
        slips=(_END,),
        token_types=("JWT",),
        claims=ClaimPaths(roles=()),
        tenants=Tenants(
            claim="hd",
            pattern=r"[a-z0-9-]+(?:\.[a-z0-9-]+)+",
            called="the domain of an organization, in lower case",
        ),
        metadata="https://accounts.google.com",
    ),
    "kubernetes": Preset(
        issuer=r"[^?#\s]+",
        example="https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
        slips=(
            Slip(
                "kubernetes/serviceaccount",
                "names tokens from Secrets, which have no audience and never expire",
                "use projected service account tokens",
            ),
        ),
        token_types=("", "JWT"),
        claims=ClaimPaths(roles=(("sub",),)),
        mark=Mark(
            one_of=((("kubernetes.io", "namespace"), ("kubernetes.io", "serviceaccount", "name")),),
            absent=_ID_TOKEN,
        ),
        hidden=Slip(
            r"https://kubernetes\.default(?:\.svc(?:\..*)?)?(?::\d+)?/?",
            "is known inside its cluster only, and asks for a login before it shows keys",
            "save them with `kubectl get --raw /openid/v1/jwks`, and name the file as `jwks_file`",
        ),
    ),
    "github-actions": Preset(
        issuer=rf"{_HOST}(?:/[^/?#\s]+)*",
        example="https://token.actions.githubusercontent.com",
        slips=(_END,),
        token_types=("JWT",),
        claims=ClaimPaths(roles=(("sub",),)),
        mark=Mark(one_of=((("repository",), ("run_id",)),), absent=_ID_TOKEN),
        tenants=Tenants(
            claim="repository_owner_id",
            pattern="[0-9]+",
            called="the id of an owner of repositories: a number in quotes",
        ),
    ),
}


def read(section: Section) -> Preset:
    """The preset that an issuer's table names. An unknown one is reported and reads as none."""
    name = section.text("preset", example="keycloak")
    if name is None:
        return NO_PRESET
    if name not in PRESETS:
        near = difflib.get_close_matches(name.lower(), PRESETS, n=1)
        known = "known presets: " + ", ".join(PRESETS)
        fix = f'did you mean "{near[0]}"?' if near else known
        section.error("preset", f'"{name}" is no preset', fix)
        return NO_PRESET
    return PRESETS[name]


def check_issuer(section: Section, preset: Preset, issuer: str) -> None:
    """Report an issuer that is not of the form which the provider gives to its own."""
    for slip in preset.slips:
        if re.fullmatch(slip.pattern, issuer):
            fix = slip.fix.replace("{issuer}", issuer)
            section.error("issuer", f"`issuer` {slip.what}", fix)
            return
    if not re.fullmatch(preset.issuer, issuer):
        section.error(
            "issuer",
            f'`issuer` does not look like one of preset "{section.raw("preset")}"',
            f'it looks like "{preset.example}"',
        )


def check_discovery(section: Section, preset: Preset, issuer: str) -> None:
    """Report an issuer whose keys cannot be found by discovery."""
    if preset.hidden and re.fullmatch(preset.hidden.pattern, issuer):
        section.error("issuer", f"`issuer` {preset.hidden.what}", preset.hidden.fix)
