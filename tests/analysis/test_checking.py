"""Everything that looks like a mistake in a policy file, in the order of its text."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from authz_middleware.analysis import check
from authz_middleware.analysis.checking import KINDS
from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.runtime import settings
from tests.tokens.minting import NOW, jwk
from tests.tokens.test_certificates import DAY, der

POLICY = """\
[[issuers]]
issuer = "http://localhost:8080"
audience = ["orders"]
token_types = ["JWT"]
grants = ["viewer"]
[roles]
viewer = []
admin = []
auditor = []
[routes]
"/admin/**" = ["admin"]
"/admin/health" = "public"
"""


def places(text: str, folder: Path) -> list[tuple[str, str]]:
    (folder / "authz.toml").write_text(text)
    found = check(Document.read("authz.toml"))
    assert {each.kind for each in found} <= {*KINDS}
    return [(each.where, each.kind) for each in found]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_order_is_that_of_the_text(folder: Path) -> None:
    assert places(POLICY, folder) == [
        ("authz.toml:2:1", "keys-over-http"),
        ("authz.toml:4:1", "odd-token-type"),
        ("authz.toml:7:1", "unused-role"),
        ("authz.toml:9:1", "unused-role"),
        ("authz.toml:11:1", "unobtainable-role"),
        ("authz.toml:12:1", "wider-rule"),
    ]


def test_a_decision_point_that_no_rule_asks(folder: Path) -> None:
    """One on trial asks, too."""
    text = (
        '[[issuers]]\nissuer = "https://x"\naudience = "a"\n[pdp.used]\nurl = "https://x"\n'
        '[pdp.tried]\nurl = "https://x"\n[pdp.left]\nurl = "https://x"\n'
        '[routes]\n"/a" = { pdp = "used" }\n"/b" = { pdp = "tried", mode = "shadow" }\n'
    )
    assert places(text, folder) == [("authz.toml:8:6", "unused-pdp")]


def test_tenants_are_looked_at_once(folder: Path) -> None:
    tenants = ", ".join(f'"5f1c0000-0000-4000-8000-00000000000{n}"' for n in range(3))
    text = (
        '[[issuers]]\nissuer = "https://login.microsoftonline.com/{tenantid}/v2.0"\n'
        f'preset = "entra"\ntenants = [{tenants}]\naudience = ["orders"]\n'
        'jwks_uri = "http://127.0.0.1/keys"\ngrants = ["*"]\n'
        '[routes]\n"GET /" = ["viewer"]\n'
    )
    assert places(text, folder) == [("authz.toml:6:1", "keys-over-http")]


def test_a_mistake_is_raised(folder: Path) -> None:
    with pytest.raises(PolicyError, match="defualt"):
        places("defualt = 1\n" + POLICY, folder)


def test_what_is_insecure_is_named_wherever_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such key is taken yet; the first that is shows up here by itself."""
    (folder / "plain.toml").write_text('[[issuers]]\nissuer = "https://x"\naudience = ["a"]\n')
    loaded = settings.load(Document.read("plain.toml"))
    monkeypatch.setattr(settings, "load", lambda _: loaded)
    text = (
        'insecure_x = true\n[[issuers]]\nissuer = "https://x"\naudience = ["a"]\n'
        "insecure_y = 1\ninsecure_z = false\n"
    )
    (folder / "authz.toml").write_text(text)
    found = check(Document.read("authz.toml"))
    assert [(each.kind, each.about, each.where) for each in found] == [
        ("insecure-option", "insecure_x", "authz.toml:1:1"),
        ("insecure-option", "insecure_y", "authz.toml:5:1"),
    ]


def test_certificates_are_judged_for_the_time_that_it_is() -> None:
    keys = {"keys": [jwk("ES256", x5c=[b64encode(der(-DAY, DAY)).decode()])]}
    issuer = {"issuer": "https://login.example.com", "audience": ["a"], "jwks": keys}
    document = Document.from_mapping({"issuers": [issuer], "routes": {"/a": "authenticated"}})
    assert [each.kind for each in check(document)] == ["certificate-dates"]
    (soon,) = check(document, NOW)
    (ended,) = check(document, NOW + 3 * 86400)
    assert "ends on 2023-11-15" in soon.what
    assert "ended on 2023-11-15" in ended.what
    assert check(document, NOW - 40 * 86400) != []  # it has not begun
