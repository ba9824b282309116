"""What is forbidden where: every entry for a path, as its laxest reader would see it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from authz_middleware.document import Document, Report, Section
from authz_middleware.facts import RuleRef
from authz_middleware.policy import load as loading
from authz_middleware.policy.binding import bind
from authz_middleware.policy.canonical import canonical, fold
from authz_middleware.policy.forbids import Forbid, Forbids
from authz_middleware.policy.model import Policy
from authz_middleware.policy.routes import Route, RouteTable
from authz_middleware.policy.rules import Requirement
from authz_middleware.policy.template import parse
from tests.policy.reference import takes
from tests.policy.test_overlap import ALPHABET, templates


def compiled(**entries: tuple[str, tuple[str, ...]]) -> Forbids:
    return Forbids(
        (parse(path), Forbid(methods, Requirement("forbid", RuleRef(name, "x:1:1")), parse(path)))
        for name, (path, methods) in entries.items()
    )


def found(forbids: Forbids, method: str, *readings: str) -> set[str]:
    return {each.ref.key for each in forbids.of(method, readings)}


@pytest.mark.parametrize(
    ("template", "path", "held"),
    [
        ("/deploy", "/deploy", True),
        ("/deploy", "/deploys", False),
        ("/deploy", "/deploy/x", False),
        ("/deploy/**", "/deploy", True),
        ("/deploy/**", "/deploy/x/y", True),
        ("/deploy/<path:rest>", "/deploy", True),
        ("/deploy/<path:rest>", "/deploy/x/y", True),
        ("/deploy/<path:rest>", "/other", False),
        ("/**", "/", True),
        ("/", "/", True),
        ("/", "/a", False),
        ("/<p>", "/", False),
        ("/<p>/x", "/a/x", True),
        # As a reader sees it that does not care
        ("/deploy/**", "/Deploy/X", True),
        ("/deploy", "/DEPLOY", True),
        ("/Deploy", "/deploy", True),
        ("/fi", "/\ufb01", True),  # the ligature
        ("/stra\xdfe", "/STRASSE", True),
        ("/\xe9", "/e\u0301", True),
        ("/i", "/\u0131", True),  # the dotless i, whose capital is I
        ("/<any(de,en):lang>", "/EN", True),
        ("/<any(de,en):lang>", "/fr", False),
        # As some converter takes it
        ("/<int:id>", "/7", True),
        ("/<int:id>", "/+7", True),
        ("/<int:id>", "/1_0", True),
        ("/<int:id>", "/\u0663", True),
        ("/<int:id>", "/\u2474", True),  # a digit in parentheses, to str.isdigit
        ("/<int:id>", "/x", False),
        ("/<float:x>", "/1", True),
        ("/<uuid:id>", "/0B6F4C1E-8A3D-4F55-9C3E-7D2F6B1A9E00", True),
        ("/<uuid:id>", "/0b6f4c1e", False),
    ],
)
def test_where(template, path, held) -> None:
    assert canonical(path) == path
    assert found(compiled(f=(template, ())), "GET", path) == ({"f"} if held else set())


@pytest.mark.parametrize(
    ("methods", "held"),
    [
        ((), {"GET", "HEAD", "POST", "WS", "PURGE"}),
        (("GET",), {"GET", "HEAD"}),
        (("POST", "WS"), {"POST", "WS"}),
    ],
)
def test_methods(methods, held) -> None:
    forbids = compiled(f=("/a", methods))
    assert {m for m in ("GET", "HEAD", "POST", "WS", "PURGE") if found(forbids, m, "/a")} == held


def test_all_that_match_are_asked_each_once_and_any_reading_counts() -> None:
    forbids = compiled(
        one=("/a/b", ()), two=("/a/**", ()), three=("/<x>/B", ("GET",)), four=("/b/**", ())
    )
    assert found(forbids, "GET", "/a/b") == {"one", "two", "three"}
    assert found(forbids, "PUT", "/a/b") == {"one", "two"}
    assert found(forbids, "PUT", "/b", "/a") == {"two", "four"}
    assert len(forbids.of("GET", ("/a/b", "/a/b", "/A/B"))) == 3


def test_nothing_forbidden() -> None:
    assert not Forbids()
    assert Forbids().of("GET", ("/",)) == []
    assert compiled(f=("/a", ()))


def lax(template, path: str) -> bool:
    """Try the template on the path segment by segment, whatever the case."""
    texts = [] if path == "/" else path[1:].split("/")
    segments = list(template.segments)
    if segments and segments[-1].rank >= 4:
        segments.pop()
        if len(texts) < len(segments):
            return False
        texts = texts[: len(segments)]
    return len(texts) == len(segments) and all(
        any(takes(s, spelled) is not False for spelled in (t, fold(t), t.upper()))
        for s, t in zip(segments, texts, strict=True)
    )


@given(templates())
def test_the_tree_finds_what_trying_each_finds(some) -> None:
    forbids = Forbids(
        (each, Forbid((), Requirement("forbid", RuleRef(each.text, "x")), each)) for each in some
    )
    for texts in product(ALPHABET, repeat=2):
        path = "/" + "/".join(texts)
        assert found(forbids, "GET", path) == {each.text for each in some if lax(each, path)}


def policy(**document) -> Policy:
    report = Report(Document.from_mapping(document))
    loaded = loading.load(Section.top(report), issuers=("https://x",), token_permissions=True)
    report.raise_if_any()
    return loaded


def test_they_come_with_the_rules_of_a_path_and_behind_them() -> None:
    loaded = policy(
        routes={"/a": "public", "/svc/a": ["x"]},
        forbid={"one": {"path": "/svc/**", "roles": ["x"]}, "two": {"methods": ["PUT"]}},
    )
    for method, readings, keys in (
        ("GET", ("/a",), ["/a"]),
        ("PUT", ("/a",), ["/a", "forbid.two"]),
        ("GET", ("/a", "/svc/a"), ["/a", "/svc/a", "forbid.one"]),
        ("GET", ("/a", "/SVC/b"), ["/a", "forbid.one"]),  # a reading that no rule means counts
        ("PUT", ("/none",), ["default", "forbid.two"]),
    ):
        requirements = loaded.find(method, readings)
        assert requirements is not None
        assert [each.ref.key for each in requirements] == keys
        assert [each.forbids_all for each in requirements] == ["two" in key for key in keys]


def test_a_forbid_makes_no_path_ambiguous_and_none_less_so() -> None:
    loaded = policy(routes={"/a": "public", "/<int:i>": "deny"}, forbid={"f": {"path": "/A"}})
    assert loaded.find("GET", ("/+1",)) is None
    requirements = loaded.find("GET", ("/a",))
    assert requirements is not None
    assert [each.kind for each in requirements] == ["public", "forbid"]


def test_what_is_forbidden_everywhere_is_no_rule_of_the_route_that_is_taken() -> None:
    """Else a router that takes another route than the policy means would need no rule for it."""
    loaded = policy(
        routes={"/a/<x>": "public", "/a/b": ["admin"]},
        forbid={"banned": {"roles": ["banned"]}},
    )
    routes = tuple(
        Route(text, text, parse(text).segments, frozenset({"GET"}), text)
        for text in ("/a/<x>", "/a/b")
    )
    binding = bind(loaded, RouteTable(routes))
    assert binding.gaps == ()
    public = loaded.find("GET", ("/a/x",))
    assert public is not None
    assert [each.kind for each in public] == ["public", "forbid"]
    also = binding.also("/a/b", "GET", "/a/x", public)
    assert also is not None
    assert [each.ref.key for each in also] == ["/a/b", "forbid.banned"]
    assert binding.also("/a/<x>", "GET", "/a/x", public) == ()


def test_what_holds_on_every_path_is_known_without_one() -> None:
    forbids = compiled(
        all=("/**", ()),
        named=("/<path:rest>", ()),
        posts=("/**", ("POST",)),
        below=("/a/**", ()),
        root=("/", ()),
        one=("/<p>", ()),
    )
    assert [each.ref.key for each in forbids.everywhere] == ["all", "named"]
