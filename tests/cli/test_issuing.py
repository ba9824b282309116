"""`authz token` and `authz issuer`: what is minted is believed by a policy that names them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from socket import socket

import jwt
import pytest
from click.testing import CliRunner, Result

from authz_middleware import Authz
from authz_middleware.cli import issuing, main, waiting
from authz_middleware.testing import DevelopmentIssuer
from tests.runtime.asking import request


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("AUTHZ_CONFIG", "AUTHZ_ISSUER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_a_token(folder: Path) -> None:
    words = ("--role", "a", "--role", "b", "--scope", "x", "--scope", "y", "--claim", "n=1")
    minted = run("token", "--subject", "bob", *words, "--claim", "tenant=acme")
    kept = DevelopmentIssuer(key_file=folder / issuing.KEY_FILE)
    told = kept.introspect(minted.stdout.strip())
    assert told["active"]
    assert (told["sub"], told["roles"], told["scope"]) == ("bob", ["a", "b"], "x y")
    assert (told["n"], told["tenant"], told["aud"]) == (1, "acme", "development")
    assert told["exp"] - told["iat"] == 3600


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        ('["orders", "other"]', "orders"),
        ('"orders"', "orders"),
        ("[]", "development"),
        ("7", "development"),
        ("[", "development"),
    ],
)
def test_a_token_is_for_the_policy_that_stands_here(
    folder: Path, audience: str, expected: str
) -> None:
    (folder / "authz.toml").write_text(
        '[[issuers]]\nissuer = "https://login.example.com"\naudience = ["no"]\n'
        f'[[issuers]]\nissuer = "{issuing.ISSUER}"\naudience = {audience}\n'
    )
    claims = jwt.decode(run("token").stdout.strip(), options={"verify_signature": False})
    assert claims["aud"] == expected
    claims = jwt.decode(
        run("token", "--audience", "mine").stdout.strip(), options={"verify_signature": False}
    )
    assert claims["aud"] == "mine"


def test_another_issuer_for_all_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHZ_ISSUER", "http://127.0.0.1:9")
    claims = jwt.decode(run("token").stdout.strip(), options={"verify_signature": False})
    assert claims["iss"] == "http://127.0.0.1:9"
    init = ("init", "tests.cli.apps:bare()", "-o", "-")
    assert 'issuer = "http://127.0.0.1:9"' in run(*init).stdout
    asked = run(*init, "--issuer", "https://login.example.com")
    assert 'issuer = "https://login.example.com"' in asked.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--claim", "n"), "write `--claim name=value`"),
        (("--claim", "headers={}"), "is no claim"),
        (("--algorithm", "none"), "no key for 'none'"),
        (("--key", "no/key.pem"), "no/key.pem cannot be read or made: No such file or directory"),
    ],
)
def test_a_mistake(words: tuple[str, ...], said: str) -> None:
    result = run("token", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize("words", [("--audience", "api"), ()], ids=["named", "of the policy here"])
def test_the_issuer_serves_what_the_policy_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """It prints what to put into the policy, and a token minted beside it is believed."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    if not words:
        table = f'[[issuers]]\nissuer = "{address}"\naudience = ["api"]\n'
        (folder / "authz.toml").write_text(table)
    seen: list[bool] = []

    def interrupted(_: float) -> None:
        token = run("token", "--issuer", address, *words).stdout.strip()
        policy = {
            "issuers": [{"issuer": address, "audience": ["api"]}],
            "routes": {"/**": "authenticated"},
        }
        outcome = Authz.from_mapping(policy).serving.outcome(*request(token=token))
        seen.append(outcome.decision.allowed)
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "sleep", interrupted)
    result = run("issuer", "--issuer", address, *words)
    assert (result.exit_code, seen) == (0, [True])
    assert tomllib.loads(result.stdout) == {"issuers": [{"issuer": address, "audience": ["api"]}]}


def test_an_issuer_elsewhere_is_not_served() -> None:
    result = run("issuer", "--issuer", "https://login.example.com")
    assert result.exit_code == 2
    assert "is not served here: name it http://127.0.0.1:PORT" in result.stderr


@pytest.mark.parametrize("seconds", ["0", "-5"])
def test_no_token_is_minted_that_was_never_good(seconds: str) -> None:
    result = run("token", "--lifetime", seconds)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--lifetime" in result.stderr
