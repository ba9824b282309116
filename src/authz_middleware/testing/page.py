"""The page of the development issuer: mint a token by hand, rotate the key, have an outage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final, cast

__all__ = ["NO_CLAIMS", "MintingPage"]

# Claims that a verifier must be able to rely on are the issuer's to write, so that what a field
# holds is a token of its own kind.
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Development issuer</title>
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }}
body {{ max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}
label {{ display: block; margin: .75rem 0 0 }}
input, textarea {{ width: 100%; box-sizing: border-box; font: inherit }}
button {{ font: inherit; margin: 1rem .5rem 0 0 }}
output {{ display: block; overflow-wrap: anywhere; font-family: ui-monospace, monospace }}
[role=alert] {{ border-left: .3rem solid; padding-left: .7rem }}
</style>
<h1>Development issuer</h1>
<p>Whoever can open this page can be anybody. It is for this machine alone.</p>
{said}
<form method="post">
<label>Subject <input name="subject" value="{subject}" required></label>
<label>Roles, separated by spaces <input name="roles" value="{roles}"></label>
<label>Lifetime in seconds
<input name="lifetime" value="{lifetime}" inputmode="numeric" pattern="[0-9]+"></label>
<label>More claims, as a JSON object
<textarea name="claims" rows="4" spellcheck="false">{claims}</textarea></label>
<button name="do" value="mint">Mint a token</button>
<button name="do" value="rotate">Rotate the key</button>
<button name="do" value="{switch}">{switch_text}</button>
</form>
</html>
"""
_DEFAULTS: Final = {"subject": "ann", "roles": "viewer", "lifetime": "3600", "claims": "{}"}
NO_CLAIMS: Final = frozenset({"subject", "roles", "lifetime", "headers"})
"""Names that `DevelopmentIssuer.mint` has for something else than a claim."""

MAX_LIFETIME: Final = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class MintingPage:
    """The page, over what it can do. `outage` sets the outage, and tells it where given None."""

    mint: Callable[..., str]
    rotate: Callable[[], None]
    outage: Callable[[bool | None], bool]

    def show(self, fields: Mapping[str, str]) -> str:
        """Do what the form that was sent asks for, and return the page."""
        said = ""
        match fields.get("do"):
            case "mint":
                said = self._minted(fields)
            case "rotate":
                self.rotate()
                said = "<p role=status>There is a new key; the old ones stay published.</p>"
            case "fail" | "recover" as switch:
                self.outage(switch == "fail")
            case _:
                pass
        failing = self.outage(None)
        if failing:
            said += "<p role=alert>Outage: all else is answered with 503.</p>"
        shown = {name: escape(fields.get(name, text)) for name, text in _DEFAULTS.items()}
        return _PAGE.format(
            said=said,
            switch="recover" if failing else "fail",
            switch_text="End the outage" if failing else "Have an outage",
            **shown,
        )

    def _minted(self, fields: Mapping[str, str]) -> str:
        try:
            token = self.mint(
                fields.get("subject", ""),
                roles=fields.get("roles", "").split(),
                lifetime=_lifetime(fields.get("lifetime", "")),
                **_claims(fields.get("claims", "")),
            )
        except ValueError as error:
            return f"<p role=alert>{escape(str(error))}</p>"
        return f"<h2>Token</h2><output>{escape(token)}</output>"


def _lifetime(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > MAX_LIFETIME:
        raise ValueError("the lifetime is a number of seconds")
    return int(text)


def _claims(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")  # noqa: TID251 - a form that a developer fills in
    except (ValueError, RecursionError):
        raise ValueError("the claims are no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("the claims are no JSON object")
    claims = cast("dict[str, Any]", found)
    taken = NO_CLAIMS & claims.keys()
    if taken:
        raise ValueError(f"`{min(taken)}` has a field of its own, or is no claim")
    return claims
