"""Paths that a reader without regard to letter case would take for another."""

from __future__ import annotations

import pytest

from authz_middleware.policy.canonical import fold
from authz_middleware.policy.spellings import MAX_SPELLINGS, Spellings
from authz_middleware.policy.template import parse
from tests.policy.test_model import compiled, found

ROUTES = {"/**": "public", "/admin/<x>": ["a"], "/<any(Red,blue):c>/x": ["b"], "/ok": "public"}


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/other/x", ("/**",)),
        ("/admin/x", ("/admin/<x>",)),
        ("/ADMIN/x", None),
        ("/adm\u0131n/x", None),  # dotless i: its upper case is I
        ("/\uff41dmin/x", None),  # a compatibility form
        ("/red/x", None),
        ("/Red/x", ("/<any(Red,blue):c>/x",)),
        ("/RED", ("/**",)),  # whatever the case, no protected rule has this length
        ("/OK", ("/**",)),  # public for either reader
    ],
)
def test_a_public_rule_opens_nothing_that_another_reader_sees_protected(path, keys) -> None:
    assert found(compiled(ROUTES), "GET", path) == keys


def test_a_protected_rule_is_matched_exactly() -> None:
    routes = {"/<name>": "authenticated", "/admin": ["a"]}
    assert found(compiled(routes), "GET", "/Admin") == ("/<name>",)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/admin", ["/admin"]),
        ("/Admin", ["/<name>", "/admin"]),
        ("/adm\u0131n", ["/<name>", "/admin"]),
        ("/\uff41dmin", None),  # two rules for two forms of one text
        ("/other", ["/<name>"]),
        ("/OPEN", ["/<name>"]),  # what is public elsewhere asks for nothing
        ("/X/y", ["/**", "/x/<any(y,z):w>"]),
        ("/X/+1", None),
        ("/x/+1", None),
    ],
)
def test_an_app_that_may_be_loose_must_be_allowed_both(path, keys) -> None:
    routes = {"/<name>": "authenticated", "/**": "authenticated", "/admin": ["a"]}
    routes |= {"/open": "public", "/x/<any(y,z):w>": ["b"], "/x/<int:i>": ["b"]}
    found = compiled(routes).find("GET", (path,), loose=True)
    assert (found and [each.ref.key for each in found]) == keys


def test_two_rules_that_differ_in_case_alone() -> None:
    routes = {"/A": "public", "/a": ["a"]}
    assert found(compiled(routes), "GET", "/A") is None
    assert found(compiled(routes), "GET", "/a") == ("/a",)


def test_work_is_bounded() -> None:
    spellings = Spellings(parse("/" + "/".join(each)) for each in (["a"] * 50, ["A"] * 50))
    assert spellings.of("/a" * 50) is None
    assert spellings.of("/b/c") == []
    depth = MAX_SPELLINGS.bit_length() - 1
    assert len(spellings.of("/a" * depth) or ()) == MAX_SPELLINGS - 1
    assert spellings.of("/a" * (depth + 1)) is None


def test_too_many_spellings_are_refused_and_not_let_in() -> None:
    routes = {"/**": "public", "/a/b/c/d/e/f/g": ["admin"]}
    for path in ("/A/B/C/D/E/F/g", "/A/B/C/D/E/F/G"):
        assert found(compiled(routes), "GET", path) is None
    assert found(compiled(routes), "GET", "/h/B/C/D/E/F/h") == ("/**",)


@pytest.mark.parametrize(
    ("routes", "path"),
    [
        ({"GET /Login": "public", "GET /users/login": ["a"]}, "/Login"),
        ({"/API/docs": "public", "GET /v1/api/keys": ["a"]}, "/API/docs"),
        ({"/wiki/<any(Python,Rust):p>": "public", "/lang/python": ["a"]}, "/wiki/Python"),
    ],
)
def test_a_word_spelled_otherwise_elsewhere_closes_nothing(routes, path) -> None:
    assert found(compiled(routes), "GET", path) is not None


def test_what_would_be_ambiguous_for_the_other_reader_is_refused() -> None:
    routes = {"/<any(A,b):x>/**": "public", "/a/<int:i>": "public"}
    assert found(compiled(routes), "GET", "/A/+1") is None


@pytest.mark.parametrize("text", ["admin", "ADMIN", "\uff21dmin", "adm\u0131n"])
def test_fold(text) -> None:
    assert fold(text) == "admin"
