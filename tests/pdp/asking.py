"""Questions to a decision point in process, through a validator of WSGI; and a policy for them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any
from wsgiref.validate import validator

from authz_middleware import Authz
from authz_middleware.pdp import DecisionPoint
from tests.tokens.minting import jwk

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"
TOKEN = "Xk9vQ2mT7rLpW4sZbN8cYdH3fJ6gUaE1"
NOW = 1_800_000_000.0
ISSUER = "https://login.example.com"


@dataclass
class Said:
    """What a decision point answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason of a denial; "in" where it permits."""
        assert self.status == 200
        return "in" if self.json["decision"] is True else self.json["context"]["reason"]


def environ_for(path: str, body: bytes | None, **extra: Any) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body or b""),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body is not None:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    return {name: value for name, value in {**environ, **extra}.items() if value is not None}


def ask(point: DecisionPoint, question: Any, path: str = EVALUATION, **extra: Any) -> Said:
    """Ask; a `question` that is no bytes is sent as JSON. `extra` changes the environ."""
    body = question if isinstance(question, bytes | None) else json.dumps(question).encode()
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert len({name.lower() for name, _ in headers}) == len(headers)
        seen.extend((int(status[:3]), dict(headers)))
        return lambda data: None

    chunks = validator(point)(environ_for(path, body, **extra), start_response)
    found = Said(seen[0], seen[1], b"".join(chunks))
    chunks.close()  # type: ignore[attr-defined]
    return found


def issuer(**members: Any) -> dict[str, Any]:
    return {
        "issuer": ISSUER,
        "audience": ["orders"],
        "jwks": {"keys": [jwk("ES256", kid="a")]},
        "claims": {"roles": "roles"},
    } | members


def serve(policy: dict[str, Any], *, tokens: Any = None, **options: Any) -> DecisionPoint:
    """A decision point without secrets, whose issuer is the one above if the policy has none."""
    made = {name: options.pop(name) for name in ("url", "subject_types") if name in options}
    policy = {"issuers": [issuer()], **policy}
    authz = Authz.from_mapping(policy, clock=lambda: NOW, **options)
    return DecisionPoint(authz, tokens=tokens, **made)
