"""The most specific template decides, whatever the order; doubt is never resolved by guessing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.matcher import AMBIGUOUS, Match, Matcher
from authz_middleware.policy.segments import DoubleStar, Exact
from authz_middleware.policy.template import MAX_SEGMENTS, Template, parse
from tests.policy import reference

UUID = "01234567-89ab-cdef-0123-456789abcdef"
HEX = UUID.replace("-", "")


def matcher(*texts: str) -> Matcher[str]:
    return Matcher([(parse(text), text) for text in texts])


# templates, path, the deciding template (None: none; "?": ambiguous), its parameters
DECIDED: dict[str, tuple[Sequence[str], str, str | None, dict[str, str]]] = {
    "nothing at all": ([], "/", None, {}),
    "root": (["/"], "/", "/", {}),
    "root is not all": (["/"], "/a", None, {}),
    "literal": (["/a/b"], "/a/b", "/a/b", {}),
    "case matters": (["/a/b"], "/a/B", None, {}),
    "too short": (["/a/b"], "/a", None, {}),
    "too long": (["/a/b"], "/a/b/c", None, {}),
    "plain": (["/a/<x>"], "/a/7", "/a/<x>", {"x": "7"}),
    "raw text": (["/a/<x>"], "/a/é (1)", "/a/<x>", {"x": "é (1)"}),
    "two parameters": (["/<a>/x/<b>"], "/1/x/2", "/<a>/x/<b>", {"a": "1", "b": "2"}),
    "int": (["/<int:a>"], "/007", "/<int:a>", {"a": "007"}),
    "int is no word": (["/<int:a>"], "/x", None, {}),
    "float": (["/<float:a>"], "/1.5", "/<float:a>", {"a": "1.5"}),
    "uuid": (["/<uuid:a>"], f"/{UUID}", "/<uuid:a>", {"a": UUID}),
    "any": (["/<any(en,de):a>/x"], "/de/x", "/<any(en,de):a>/x", {"a": "de"}),
    "any of others": (["/<any(en,de):a>/x"], "/fr/x", None, {}),
    "path of none": (["/x/<path:p>"], "/x", "/x/<path:p>", {"p": ""}),
    "path of one": (["/x/<path:p>"], "/x/a", "/x/<path:p>", {"p": "a"}),
    "path of three": (["/x/<path:p>"], "/x/a/b/c", "/x/<path:p>", {"p": "a/b/c"}),
    "path after a parameter": (
        ["/<a>/<path:p>"],
        "/1/2/3",
        "/<a>/<path:p>",
        {"a": "1", "p": "2/3"},
    ),
    "path of the whole": (["/<path:p>"], "/", "/<path:p>", {"p": ""}),
    "path has a boundary": (["/x/<path:p>"], "/xy", None, {}),
    "double star of none": (["/x/**"], "/x", "/x/**", {}),
    "double star of two": (["/x/**"], "/x/a/b", "/x/**", {}),
    "double star of all": (["/**"], "/", "/**", {}),
    "double star after a parameter": (["/<a>/**"], "/1/2/3", "/<a>/**", {"a": "1"}),
    "double star has a boundary": (["/x/**"], "/xy", None, {}),
    # Rank
    "literal over any": (["/<any(a,b):x>", "/a"], "/a", "/a", {}),
    "any over int": (["/<int:x>", "/<any(1,2):x>"], "/1", "/<any(1,2):x>", {"x": "1"}),
    "int over plain": (["/<x>", "/<int:x>"], "/1", "/<int:x>", {"x": "1"}),
    "plain over path": (["/<path:x>", "/<x>"], "/1", "/<x>", {"x": "1"}),
    "path over double star": (["/**", "/<path:x>"], "/1", "/<path:x>", {"x": "1"}),
    "end over path": (["/x/<path:p>", "/x"], "/x", "/x", {}),
    "end over double star": (["/<x>/**", "/<x>"], "/x", "/<x>", {"x": "x"}),
    "longer prefix": (["/a/**", "/a/b/**"], "/a/b/c", "/a/b/**", {}),
    "left decides": (["/<x>/b/c", "/a/<y>/<z>"], "/a/b/c", "/a/<y>/<z>", {"y": "b", "z": "c"}),
    # A branch that leads nowhere
    "back to plain": (["/a/b/c", "/<x>/b/d"], "/a/b/d", "/<x>/b/d", {"x": "a"}),
    "back to path": (["/a/b/c", "/a/<path:p>"], "/a/b/d", "/a/<path:p>", {"p": "b/d"}),
    "back twice": (["/a/b/c", "/a/<x>/d", "/**"], "/a/b/e", "/**", {}),
    "back from any": (["/<any(a,b):x>/c", "/<y>/d"], "/a/d", "/<y>/d", {"y": "a"}),
    "back from int": (["/<int:x>/c", "/<y>/d"], "/1/d", "/<y>/d", {"y": "1"}),
    "back from plain": (["/<x>/c", "/**"], "/1/d", "/**", {}),
    # Branches of equal rank
    "later segment decides": (
        ["/<any(5,6):a>/<b>", "/<any(5,7):c>/y"],
        "/5/y",
        "/<any(5,7):c>/y",
        {"c": "5"},
    ),
    "int's own end": (["/<int:a>/x", "/<float:c>/y"], "/5/x", "/<int:a>/x", {"a": "5"}),
    "two any": (["/<any(a,b):x>/1", "/<any(b,c):x>/2"], "/b/2", "/<any(b,c):x>/2", {"x": "b"}),
    "two any, no end": (["/<any(a,b):x>/1", "/<any(b,c):x>/2"], "/b/3", None, {}),
    "two any, tail": (
        ["/<any(a,b):x>/1", "/<any(b,c):x>/**"],
        "/b/3/4",
        "/<any(b,c):x>/**",
        {"x": "b"},
    ),
    "two any, tail of none": (
        ["/<any(a,b):x>/<path:p>", "/<any(b,c):x>/**"],
        "/b",
        "/<any(a,b):x>/<path:p>",
        {"x": "b", "p": ""},
    ),
    # Doubt
    "sign": (["/<int:a>"], "/+1", "?", {}),
    "sign beside plain": (["/<int:a>", "/<b>"], "/+1", "?", {}),
    "underscore beside path": (["/<int:a>", "/<path:b>"], "/1_0", "?", {}),
    "other digits beside double star": (["/x/<int:a>", "/**"], "/x/٣", "?", {}),
    "pydantic's integer": (["/<int:a>", "/<b>"], "/1.0", "?", {}),
    "exponent": (["/<float:a>", "/<b>"], "/1e3", "?", {}),
    "not a number": (["/<float:a>", "/<b>"], "/nan", "?", {}),
    "no hyphens": (["/<uuid:a>", "/<b>"], f"/{HEX}", "?", {}),
    "doubt before an end": (["/<int:a>/x", "/<b>/x"], "/+1/x", "?", {}),
    "doubt that leads nowhere": (["/<int:a>/x", "/<b>/y"], "/+1/y", "/<b>/y", {"b": "+1"}),
    "doubt before a tail": (["/<int:a>/**", "/<b>/y"], "/+1/y", "?", {}),
    "doubt and then a parameter": (["/<int:a>/<int:b>/x", "/**"], "/+1/2/x", "?", {}),
    "doubt twice": (["/<int:a>/<int:b>", "/**"], "/+1/+2", "?", {}),
    "literal says it": (["/<int:a>", "/+1"], "/+1", "/+1", {}),
    "any says it": (["/<int:a>", "/<any(+1,-1):b>"], "/+1", "/<any(+1,-1):b>", {"b": "+1"}),
    "literal leads nowhere": (["/<int:a>/x", "/+1/y", "/**"], "/+1/x", "?", {}),
    "certain and doubtful": (["/<int:a>", "/<uuid:b>"], "/" + "1" * 32, "?", {}),
    "certain ends, doubtful does not": (
        ["/<int:a>/x", "/<uuid:b>/y"],
        "/" + "1" * 32 + "/x",
        "/<int:a>/x",
        {"a": "1" * 32},
    ),
    "certain is more specific later": (
        ["/<int:a>/x", "/<uuid:b>/<c>"],
        "/" + "1" * 32 + "/x",
        "/<int:a>/x",
        {"a": "1" * 32},
    ),
    "doubtful is more specific later": (
        ["/<int:a>/<c>", "/<uuid:b>/x"],
        "/" + "1" * 32 + "/x",
        "?",
        {},
    ),
    "word beside typed": (["/<int:a>", "/<uuid:b>", "/<c>"], "/me", "/<c>", {"c": "me"}),
    # Ties, which the policy refuses at load, never decide either
    "same literal twice": (["/a", "/a/"], "/a", "?", {}),
    "same plain twice": (["/<x>", "/<y>"], "/a", "?", {}),
    "same path twice": (["/<path:x>", "/<path:y>"], "/a/b", "?", {}),
    "two any of one text": (["/<any(a,b):x>", "/<any(b,c):y>"], "/b", "?", {}),
    "int and float": (["/<int:x>", "/<float:y>"], "/1", "?", {}),
}


@pytest.mark.parametrize(
    ("texts", "path", "expected", "params"), DECIDED.values(), ids=DECIDED.keys()
)
def test_decided(
    texts: Sequence[str], path: str, expected: str | None, params: dict[str, str]
) -> None:
    for order in (texts, list(reversed(texts))):
        found = matcher(*order).match(path)
        if expected is None:
            assert found is None
        elif expected == "?":
            assert found is AMBIGUOUS
        else:
            assert found == Match(expected, params)


def test_each_match_has_its_own_parameters() -> None:
    one = matcher("/a", "/<x>")
    for path in ("/a", "/b"):
        found = one.match(path)
        assert isinstance(found, Match)
        found.params["x"] = "other"
        assert one.match(path) != found


def test_deep_templates_and_long_paths() -> None:
    deepest = "/<a0>" + "".join(f"/<a{n}>" for n in range(1, MAX_SEGMENTS))
    one = matcher(deepest, "/x/**")
    found = one.match("/y" * MAX_SEGMENTS)
    assert isinstance(found, Match)
    assert len(found.params) == MAX_SEGMENTS
    assert one.match("/y" * 4096) is None
    assert one.match("/x" * 4096) == Match("/x/**", {})


NAMES = ["a", "b", "7", "+1"]
SEGMENTS = [
    *NAMES,
    *["<any(a,b):p{n}>", "<any(b,7):p{n}>", "<any(+1):p{n}>"],
    *["<int:p{n}>", "<float:p{n}>", "<uuid:p{n}>", "<p{n}>"],
]
ALPHABET = [*NAMES, "x", "8", "1.5", "1.0", UUID, HEX, "1" * 32]


@st.composite
def templates(draw: st.DrawFn) -> list[Template]:
    """Return templates of different shapes, many of which overlap."""
    found: dict[object, Template] = {}
    for _ in range(draw(st.integers(1, 7))):
        parts = draw(st.lists(st.sampled_from(SEGMENTS), max_size=3))
        parts += draw(st.sampled_from([[], [], ["**"], ["<path:rest>"]]))
        text = "/" + "/".join(part.format(n=n) for n, part in enumerate(parts))
        template = parse(text)
        found[template.shape] = template
    return list(found.values())


@given(templates(), st.lists(st.sampled_from(ALPHABET), max_size=4))
def test_agrees_with_trying_every_template(some: list[Template], segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    expected = reference.best(some, path)
    for order in (some, some[::-1]):
        found = Matcher([(each, each) for each in order]).match(path)
        if expected is None:
            assert found is None
        elif isinstance(expected, str):
            assert found is AMBIGUOUS
        else:
            assert isinstance(found, Match)
            assert found.value == expected
            texts = dict(zip(expected.names, found.params.values(), strict=True))
            assert texts == found.params
            rebuilt = [
                part.text if isinstance(part, Exact) else found.params[part.name]
                for part in expected.segments
                if not isinstance(part, DoubleStar)
            ]
            assert path.startswith(("/" + "/".join(rebuilt)).rstrip("/"))


@given(templates(), st.text() | st.text(st.sampled_from("/ab7+1.٣\0")))
def test_any_text_has_an_outcome(some: list[Template], path: str) -> None:
    found = Matcher([(each, each) for each in some]).match(path)
    assert found is None or found is AMBIGUOUS or isinstance(found, Match)
