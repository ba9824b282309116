"""Run where nothing but the wheel is installed: what `pip install authz-middleware` brings.

Not a test of pytest's, which would have to be installed: `tox -e core` runs it as a program.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions, requires
from importlib.util import find_spec

from authz_middleware import ASGIAuthzMiddleware, Authz, PolicyError, WSGIAuthzMiddleware
from authz_middleware.testing import DevelopmentIssuer

CORE = {"click", "cryptography", "httpx2", "pyjwt", "werkzeug"}
NOT_CORE = (
    *("asgiref", "bottle", "django", "falcon", "fastapi", "flask", "litestar", "pyramid", "quart"),
    *("starlette", "pydantic", "cel", "yaml"),
)


def required() -> set[str]:
    """The names that the wheel requires without any extra."""
    lines = requires("authz-middleware") or []
    names = (re.split(r"[\[<>=!~; ]", line)[0] for line in lines if "extra ==" not in line)
    return {name.lower() for name in names}


def statuses() -> list[str]:
    """What three callers get of a wrapped app."""
    issuer = DevelopmentIssuer("https://login.example.com", "orders-api")
    policy = {
        "issuers": [issuer.policy_issuer()],
        "routes": {"GET /orders": ["viewer"], "GET /health": "public"},
    }

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"ok"]

    got: list[str] = []

    def start_response(status, headers, exc_info=None):
        got.append(status[:3])
        return lambda data: None

    wrapped = WSGIAuthzMiddleware(app, Authz.from_mapping(policy))
    for path, roles in (
        ("/health", None),
        ("/orders", None),
        ("/orders", ()),
        ("/orders", ["viewer"]),
    ):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path}
        if roles is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {issuer.mint('ann', roles=roles)}"
        list(wrapped(environ, start_response))
    return got


def main() -> int:
    """Print what is here, and return 1 if it is not what it should be."""
    installed = sorted(each.name for each in distributions())
    print("installed:", ", ".join(installed))
    wrong = [name for name in NOT_CORE if find_spec(name) or name in sys.modules]
    if wrong:
        print("not needed by the core, but here:", ", ".join(wrong))
    if required() != CORE:
        print("required:", sorted(required()), "instead of", sorted(CORE))
    try:
        ASGIAuthzMiddleware(None, {"routes": {"GET /": "pubic"}})
        refused = False
    except PolicyError:
        refused = True
    answers = statuses()
    print("answers:", *answers, "| a bad policy is refused:", refused)
    good = answers == ["200", "401", "403", "200"] and refused
    return 0 if good and not wrong and required() == CORE else 1


if __name__ == "__main__":
    sys.exit(main())
