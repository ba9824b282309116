"""The policy of the laboratory: the newsroom's, with the laboratory's routes before its own."""

from __future__ import annotations

from examples.demo.servers import ROOT

__all__ = ["policy"]

SOURCE = ROOT / "examples" / "fastapi_app" / "authz.toml"

ROUTES = """[routes]
"GET /lab/open"            = "public"
"GET /lab/who"             = ["viewer"]
"GET /lab/stream"          = ["viewer"]
"GET /lab/large"           = ["viewer"]
"GET /lab/file"            = ["viewer"]
"POST /lab/upload"         = ["viewer"]
"GET|WS /lab/require"      = ["viewer"]
"GET|WS /lab/both"         = ["viewer"]
"WS /lab/echo"             = ["viewer"]
"WS /lab/require-later"    = ["viewer"]
"""


def policy(issuer: str) -> str:
    """Return the policy as TOML, for tokens of `issuer`."""
    text = SOURCE.read_text(encoding="utf-8")
    return text.replace("http://127.0.0.1:8799", issuer).replace("[routes]\n", ROUTES, 1)
