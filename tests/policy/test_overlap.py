"""Templates that cannot stand beside each other: ties, and templates never reached."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_middleware.policy.matcher import AMBIGUOUS, Match, Matcher
from authz_middleware.policy.overlap import conflicts
from authz_middleware.policy.template import Template, parse
from tests.policy import reference

UUID = "01234567-89ab-cdef-0123-456789abcdef"
HEX = UUID.replace("-", "")


def found(texts: Sequence[str]) -> list[tuple[str, str, str, str]]:
    return [
        (each.kind, each.template.text, each.other.text, each.example)
        for each in conflicts(map(parse, texts))
    ]


TIES = {
    "other names": (["/a/<x>/c", "/a/<y>/c"], "/a/x1/c"),
    "other names of a path": (["/<path:x>", "/<path:y>"], "/"),
    "other names of any": (["/<any(a,b):x>", "/<any(b,a):y>"], "/a"),
    "the same twice": (["/a", "/a/"], "/a"),
    "the same double star": (["/a/**", "/a/**/"], "/a"),
    "int and float": (["/x/<float:b>", "/x/<int:a>"], "/x/1"),
    "two any": (["/<any(a,b):x>", "/<any(b,c):y>"], "/b"),
    "two any, deeper": (["/<any(a,b):x>/<p>/z", "/<any(b,c):y>/<q>/z"], "/b/x1/z"),
    "two any, tails": (["/<any(a,b):x>/**", "/<any(b,c):y>/**"], "/b"),
    "two any twice": (
        ["/<any(a,b):x>/<any(c,d):p>", "/<any(b,c):y>/<any(d,e):q>"],
        "/b/d",
    ),
    "int and float before the same": (["/<float:b>/<uuid:c>", "/<int:a>/<uuid:c>"], None),
    "a literal takes one of the examples": (["/<float:b>", "/<int:a>", "/1"], "/2"),
}


@pytest.mark.parametrize(("texts", "example"), TIES.values(), ids=TIES.keys())
def test_ties(texts: list[str], example: str | None) -> None:
    (conflict,) = found(texts)
    assert conflict[:3] == ("tie", *texts[:2])
    assert example in {None, conflict[3]}
    assert Matcher([(parse(text), text) for text in texts]).match(conflict[3]) is AMBIGUOUS
    assert found(texts[::-1]) == [conflict]


NEVER_REACHED = {
    "double star beside path": (["/x/**", "/x/<path:p>"], "/x/<path:p>"),
    "double star of all": (["/**", "/<path:p>"], "/<path:p>"),
    "any beside its literals": (["/x/<any(a,b):p>", "/x/a", "/x/b"], "/x/a"),
    "any beside its literals, deeper": (
        ["/x/<any(a,b):p>/<c>", "/x/a/<c>", "/x/b/<path:c>"],
        "/x/a/<c>",
    ),
    "any beside two any": (["/<any(a,b):p>/<c>", "/<any(a,d):q>/**", "/a/<r>", "/b/**"], "/a/<r>"),
    "any beside a prefix": (["/<any(a):p>/<int:q>", "/a/**"], "/a/**"),
    "any twice": (
        ["/<any(a,b):p>/<any(c,d):q>", "/a/<x>", "/b/c", "/b/d"],
        "/a/<x>",
    ),
    "double star beside an end and a plain tail": (["/x/**", "/x", "/x/<p>/**"], "/x"),
    "double star beside ends and a deep tail": (
        ["/x/**", "/x", "/x/<p>", "/x/<p>/<q>/<path:r>"],
        "/x",
    ),
    "path beside an end and a plain tail": (["/x/<path:a>", "/x", "/x/<p>/**"], "/x"),
    "tail below any": (["/<any(a):p>/**", "/a/<path:q>"], "/a/<path:q>"),
    "fixed end below any": (["/<any(a):p>/x", "/a/x"], "/a/x"),
    "doubt is no way past": (["/<any(x):p>/+1", "/x/<int:q>"], "/x/<int:q>"),
}


@pytest.mark.parametrize(("texts", "other"), NEVER_REACHED.values(), ids=NEVER_REACHED.keys())
def test_never_reached(texts: list[str], other: str) -> None:
    first = [each for each in found(texts) if each[:2] == ("unreachable", texts[0])]
    ((_, _, taken_by, example),) = first
    assert taken_by == other
    assert reference.matches(parse(texts[0]), example)
    decided = Matcher([(parse(text), text) for text in texts]).match(example)
    assert decided is AMBIGUOUS or (isinstance(decided, Match) and decided.value != texts[0])


FINE = {
    "nothing": [],
    "each kind": ["/x", "/<any(x,y):a>", "/<int:a>", "/<uuid:b>", "/<a>", "/<path:a>"],
    "left decides": ["/<x>/b", "/a/<y>"],
    "later segment decides": ["/x/<int:a>/<b>", "/x/<float:c>/lit"],
    "uuid is no number": ["/<int:a>", "/<uuid:b>"],
    "any without a common text": ["/<any(a,b):x>", "/<any(c,d):x>"],
    "any not quite taken": ["/<any(a,b):x>", "/a"],
    "any not quite taken, deeper": ["/<any(a,b):x>/<c>", "/a/<c>", "/b/<int:c>"],
    "path beside its own end": ["/x/<path:p>", "/x", "/x/<a>", "/x/<a>/<b>"],
    "path beside deep tails": ["/x/<path:p>", "/x/<a>/**"],
    "double star beside words": ["/x/**", "/x", "/x/a/**", "/x/<int:a>/**"],
    "plain beside typed": ["/<a>", "/<int:a>", "/<float:b>/x", "/<uuid:c>"],
    "float beside literals": ["/<float:a>", "/1", "/1.5"],
    "other names on other branches": ["/a/<x>/b", "/a/<y>/c"],
    "tail in a longer tail": ["/**", "/a/**", "/a/b/**"],
}


@pytest.mark.parametrize("texts", FINE.values(), ids=FINE.keys())
def test_no_conflict(texts: list[str]) -> None:
    assert found(texts) == []


def test_every_pair_of_a_tie_is_named() -> None:
    texts = ["/<any(a,b):x>", "/<any(b,c):x>", "/<any(b,d):x>", "/<any(b,d):y>"]
    assert [(kind, one, other) for kind, one, other, _ in found(texts)] == [
        ("tie", texts[0], texts[1]),
        ("tie", texts[0], texts[2]),
        ("tie", texts[1], texts[2]),
        ("tie", texts[2], texts[3]),
    ]


NAMES = ["a", "b", "7"]
SEGMENTS = [
    *NAMES,
    *["<any(a,b):p{n}>", "<any(b,7):p{n}>", "<any(a):p{n}>", "<any(b):p{n}>"],
    *["<int:p{n}>", "<float:p{n}>", "<uuid:p{n}>", "<p{n}>"],
]
ALPHABET = [*NAMES, "8", "1.5", UUID, "x"]


@st.composite
def templates(draw: st.DrawFn) -> list[Template]:
    found: dict[object, Template] = {}
    for _ in range(draw(st.integers(1, 7))):
        parts = draw(st.lists(st.sampled_from(SEGMENTS), max_size=2))
        parts += draw(st.sampled_from([[], ["**"], ["<path:rest>"]]))
        template = parse("/" + "/".join(part.format(n=n) for n, part in enumerate(parts)))
        found[template.shape] = template
    return list(found.values())


@given(templates())
def test_exactly_the_conflicts_that_trying_every_path_finds(some: list[Template]) -> None:
    ties: set[frozenset[Template]] = set()
    reached: set[Template] = set()
    for path in reference.paths(ALPHABET, 4):
        matching = [each for each in some if reference.matches(each, path)]
        best = min((each.rank for each in matching), default=None)
        reached.update(each for each in matching if each.rank == best)
        ties.update(
            frozenset((one, other))
            for one, other in combinations(some, 2)
            if one.rank == other.rank and reference.tie(one, other, path)
        )
    reported = conflicts(some)
    assert conflicts(some[::-1]) == reported
    assert {
        frozenset((each.template, each.other)) for each in reported if each.kind == "tie"
    } == ties
    assert {each.template for each in reported if each.kind == "unreachable"} == {*some} - reached
    for each in reported:
        assert reference.matches(each.template, each.example) is not False
        assert reference.matches(each.other, each.example) is not False


@settings(max_examples=5)
@given(st.integers(1, 50))
def test_a_tree_without_overlap_has_no_conflict(width: int) -> None:
    texts = [
        text.format(n=n)
        for n in range(width)
        for text in ("/r{n}", "/r{n}/<int:id>", "/r{n}/<slug>/x", "/r{n}/f/**")
    ]
    assert found(texts) == []
