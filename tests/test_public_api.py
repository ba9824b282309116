"""What users import: sorted, documented, typed, and silent about tokens and claims."""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
import re
import time
from dataclasses import fields, is_dataclass
from importlib.resources import files
from typing import get_type_hints

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

import authz_middleware
from authz_middleware import AccessDenied, Authz, DecisionEvent
from authz_middleware.effects import Admit, Refuse
from authz_middleware.facts import Authorization, RequestFacts

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(authz_middleware.__path__, "authz_middleware.")
)
PUBLIC = (
    "authz_middleware",
    "authz_middleware.analysis",
    "authz_middleware.django",
    "authz_middleware.frameworks.fastapi",
    "authz_middleware.pdp",
    "authz_middleware.testing",
)


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_exported_is_sorted_and_there(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for each in module.__all__:
        assert hasattr(module, each)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_its_duty_and_exports_what_it_has(name: str) -> None:
    module = importlib.import_module(name)
    first, *_ = (module.__doc__ or "").split("\n")
    assert first.endswith((".", ":", "?", "!"))
    for each in getattr(module, "__all__", ()):
        assert hasattr(module, each)


def documented() -> list[object]:
    """Every public class and function, and their public methods and properties."""
    found: list[object] = []
    for module in map(importlib.import_module, PUBLIC):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing):
                found.append(pytest.param(thing, id=f"{module.__name__}.{name}"))
                found += [
                    pytest.param(member, id=f"{module.__name__}.{name}.{each}")
                    for each, member in vars(thing).items()
                    if not each.startswith("_")
                    and (inspect.isfunction(member) or isinstance(member, (property, classmethod)))
                    and not getattr(thing, "_is_protocol", False)
                    and getattr(member, "__name__", "") != "_refuse"
                ]
            elif callable(thing):
                found.append(pytest.param(thing, id=f"{module.__name__}.{name}"))
    return found


@pytest.mark.parametrize("thing", documented())
def test_every_public_thing_is_documented(thing: object) -> None:
    text = (inspect.getdoc(thing) or "").strip()
    assert text
    assert not re.match(r"\w+\(.*\)$", text.split("\n")[0])  # what dataclass makes up


@pytest.mark.parametrize("name", authz_middleware.__all__)
def test_annotations_can_be_resolved(name: str) -> None:
    """By whoever makes a schema of our values."""
    thing = getattr(authz_middleware, name)
    if is_dataclass(thing):
        hints = get_type_hints(thing)
        assert {each.name for each in fields(thing)} <= hints.keys()


def test_the_package_is_typed() -> None:
    assert files("authz_middleware").joinpath("py.typed").is_file()


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", authz_middleware.__version__)


# Silence about tokens and claims, through the whole of it

MARK = "s3cr3t"
KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = "https://login.example.com"


def mint(*, key: object = KEY, headers: dict[str, object] | None = None, **claims: object) -> str:
    payload = {
        "iss": ISSUER,
        "aud": "orders",
        "sub": "ann",
        "exp": int(time.time()) + 600,
        "email": f"{MARK}@example.com",
    }
    head = {"typ": "at+jwt", **(headers or {})}
    return jwt.encode({**payload, **claims}, key, algorithm="ES256", headers=head)  # type: ignore[arg-type]


TOKENS = {
    "good": mint(),
    "expired": mint(exp=1),
    "no subject": mint(sub=""),
    "wrong audience": mint(aud=MARK),
    "unknown issuer": mint(iss=f"https://{MARK}"),
    "tampered with": mint()[:-2] + "AA",
    "unknown kid": mint(headers={"kid": MARK}),
    "unknown type": mint(headers={"typ": MARK}),
    "another key": mint(key=ec.generate_private_key(ec.SECP256R1())),
    "not yet": mint(nbf=int(time.time()) + 500),
    "bound": mint(cnf={"jkt": MARK}),
    "opaque": MARK,
    "critical": mint(headers={"crit": [MARK], MARK: 1}),
    "half": mint()[:-20],
}


class Listener:
    def __init__(self) -> None:
        self.events: list[DecisionEvent] = []

    def observe(self, event: DecisionEvent) -> None:
        self.events.append(event)


@pytest.mark.parametrize("path", ["/me", "/open", "/admins"])
@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_no_text_of_ours_holds_a_token_or_its_claims(
    token: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    listener = Listener()
    jwks = {"keys": [ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)]}
    authz = Authz.from_mapping(
        {
            "issuers": [{"issuer": ISSUER, "audience": "orders", "jwks": jwks}],
            "routes": {"/me": "authenticated", "/open": "public", "/admins": ["admin"]},
        },
        observers=[listener],
    )
    facts = RequestFacts("http", "GET", path, "")
    outcome = authz.serving.outcome(facts, Authorization([b"Bearer " + token.encode()]))
    texts = [repr(outcome), repr(authz)]
    if isinstance(outcome, Admit):
        access = authz.serving.admitted(facts, outcome, None)
        texts += [repr(access), repr(access.principal), str(access.decision)]
        with pytest.raises(AccessDenied) as denied:
            access.require("write")
        texts += [str(denied.value), repr(denied.value), repr(denied.value.answer)]
    else:
        assert isinstance(outcome, Refuse)
        texts.append(repr(authz.serving.refused(facts, outcome, None)))
    texts += [caplog.text, *map(repr, listener.events)]
    assert listener.events
    for text in texts:
        assert MARK not in text
        assert token not in text
        for segment in token.split("."):
            assert segment not in text
