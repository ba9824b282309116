"""Path templates: both spellings, and every text that is refused with what to write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.segments import (
    AnyOf,
    DoubleStar,
    Exact,
    PathTail,
    Plain,
    Segment,
    Typed,
)
from authz_middleware.policy.template import MAX_SEGMENTS, TemplateError, parse

READ: dict[str, tuple[Segment, ...]] = {
    "/": (),
    "/items": (Exact("items"),),
    "/items/": (Exact("items"),),
    "/a/b.c/~d": (Exact("a"), Exact("b.c"), Exact("~d")),
    "/café": (Exact("café"),),
    "/50%": (Exact("50%"),),
    "/new file": (Exact("new file"),),
    "/$metadata": (Exact("$metadata"),),
    "/v1/items:cancel": (Exact("v1"), Exact("items:cancel")),
    "/f(x)/c++": (Exact("f(x)"), Exact("c++")),
    "/<id>": (Plain("id"),),
    "/<string:id>": (Plain("id"),),
    "/<int:id>": (Typed("int", "id"),),
    "/<float:x>/": (Typed("float", "x"),),
    "/<uuid:key>/x": (Typed("uuid", "key"), Exact("x")),
    "/files/<path:rest>": (Exact("files"), PathTail("rest")),
    "/<path:rest>/": (PathTail("rest"),),
    "/<any(en,de):lang>": (AnyOf(("en", "de"), "lang"),),
    "/<any(en, de ):lang>": (AnyOf(("en", "de"), "lang"),),
    "/<any(\"en\", 'de'):lang>": (AnyOf(("en", "de"), "lang"),),
    "/<any(a*b,x:y,new file):it>": (AnyOf(("a*b", "x:y", "new file"), "it"),),
    "/{id}": (Plain("id"),),
    "/{id:str}": (Plain("id"),),
    "/{id:int}": (Typed("int", "id"),),
    "/{id:float}": (Typed("float", "id"),),
    "/{id:uuid}": (Typed("uuid", "id"),),
    "/files/{rest:path}": (Exact("files"), PathTail("rest")),
    "/{a}/{b}": (Plain("a"), Plain("b")),
    "/**": (DoubleStar(),),
    "/x/**": (Exact("x"), DoubleStar()),
    "/x/**/": (Exact("x"), DoubleStar()),
}


@pytest.mark.parametrize(("text", "segments"), READ.items(), ids=READ.keys())
def test_read(text: str, segments: tuple[Segment, ...]) -> None:
    template = parse(text)
    assert template.segments == segments
    assert template.text == str(template) == text


REFUSED: dict[str, tuple[str, str, str]] = {
    # text: (id, part of what, part of fix)
    "": ("empty", "starts with", "write `/`"),
    "items": ("no leading slash", "starts with", "write `/items`"),
    "^/admin": ("anchored", "starts with", "write `/^/admin`"),
    "//": ("only slashes", "empty segment", "one `/`"),
    "/a//b": ("double slash", "empty segment", "one `/`"),
    "/a//": ("double slash at the end", "empty segment", "one `/`"),
    # Parameters
    "/a/<>": ("no name", "without a name", "letters"),
    "/{}": ("no name in braces", "without a name", "letters"),
    "/<int:>": ("no name after a converter", "without a name", "letters"),
    "/<1a>": ("bad name", "`1a` is no parameter name", "letters"),
    "/<a-b>": ("hyphen in a name", "`a-b` is no parameter name", "letters"),
    "/<int: id>": ("space before a name", "is no parameter name", "letters"),
    "/{*rest}": ("catch-all of others", "is no parameter name", "letters"),
    "/{id?}": ("optional", "is no parameter name", "letters"),
    "/<a>/x/<a>": ("repeated name", "second parameter `a`", "its own name"),
    "/<a>/{b}": ("both spellings", "in one path", "one way"),
    "/<a:b:c>": ("too many colons", "is no parameter", "<converter:name>"),
    # Converters
    "/x/<it:id>": ("misspelt converter", "unknown converter `it`", "`<int:id>`, or `<id>`"),
    "/<str:id>": ("brace converter in angles", "unknown converter `str`", "`<id>`"),
    "/{id:string}": ("angle converter in braces", "unknown converter `string`", "`{id}`"),
    "/<slug:id>": ("Django's slug", "unknown converter `slug`", "write `<id>`"),
    "/{id:[0-9]+}": ("regular expression", "unknown converter `[0-9]+`", "write `{id}`"),
    "/<id:int>": ("other order in angles", "unknown converter `id`", "write `<int:id>`"),
    "/{int:id}": ("other order in braces", "unknown converter `id`", "write `{id:int}`"),
    "/<:id>": ("empty converter", "unknown converter ``", "write `<id>`"),
    "/{id:}": ("empty converter in braces", "unknown converter ``", "write `{id}`"),
    "/{:x}": ("no name before a converter", "unknown converter `x`", "write `{name}`"),
    "/{a:any(b,c)}": ("any in braces", "unknown converter", "write `{a}`"),
    "/<int(min=1):x>": ("arguments", "`int` takes no arguments", "write `<int:x>`"),
    "/<string(length=2):x>": ("string's arguments", "takes no arguments", "write `<x>`"),
    "/<path():x>": ("empty arguments", "takes no arguments", "write `<path:x>`"),
    # any
    "/<any:x>": ("any without values", "`any` without values", "<any(a,b):x>"),
    "/<any():x>": ("any of nothing", "`any` without values", "<any(a,b):x>"),
    "/<any( ):x>": ("any of a space", "`any` without values", "<any(a,b):x>"),
    "/<any(a,):x>": ("any with an empty value", "empty value", "comma"),
    '/<any(a,""):x>': ("any with a quoted empty value", "empty value", "comma"),
    "/<any(a,b,a):x>": ("any with a value twice", "`a` twice", "once"),
    "/<any(a,b;c):x>": ("any with a refused value", "two ways", "400"),
    "/<any(a,..):x>": ("any with a dot segment", "two ways", "400"),
    "/<any(a,%41):x>": ("any with an escape", "percent-encoded", "`A`"),
    "/<any(a/b):x>": ("any with a slash", "unbalanced", "<name>"),
    # Parts of segments, and brackets
    "/x/{name}.json": ("partial", "more than a parameter", "write `{name}` alone"),
    "/<a>-<b>": ("two in one", "more than a parameter", "write `<a>` alone"),
    "/@{user}": ("partial with a prefix", "more than a parameter", "write `{user}` alone"),
    "/{id:[0-9]{4}}": ("nested braces", "unbalanced", "`{name}`"),
    "/<a": ("not closed", "unbalanced", "<name>"),
    "/a>": ("not opened", "unbalanced", "<name>"),
    "/{a>": ("closed by another", "unbalanced", "<name>"),
    "/}": ("only closed", "unbalanced", "<name>"),
    # Tails
    "/<path:p>/x": ("path in the middle", "only at the end", "`<name>`"),
    "/a/**/b": ("double star in the middle", "only at the end", "`<name>`"),
    # Other pattern languages
    "/a/*": ("star", "`*` in `*`", "`<name>`"),
    "/a/*.json": ("glob", "`*` in `*.json`", "`<name>`"),
    "/a***": ("stars", "`*` in `a***`", "/**"),
    "/a/.*": ("regular expression for all", "`*` in `.*`", "/**"),
    "/^a": ("caret", "`^` in", "`<name>`"),
    "/a$": ("dollar at the end", "`$` in", "`<name>`"),
    "/(a|b)": ("alternatives", "`|` in", "<any(a,b):name>"),
    "/[id]": ("brackets", "`[` in", "`<name>`"),
    "/users/:id": ("Express parameter", "`:` in", "`<name>`"),
    # Texts that no request can hold
    "/a/../b": ("dot segment", "two ways", "400"),
    "/a;b": ("semicolon", "two ways", "400"),
    "/a?b=c": ("query", "two ways", "400"),
    "/a#b": ("fragment", "two ways", "400"),
    "/a\\b": ("backslash", "two ways", "400"),
    "/a /b": ("outer space", "two ways", "400"),
    "/a\u200bb": ("invisible", "'a\\u200bb'", "400"),
    "/a%2Fb": ("escaped slash", "two ways", "400"),
    "/caf%C3%A9": ("escape", "percent-encoded", "`café`"),
    "/a%2541": ("escape of an escape", "two ways", "400"),
    "/a/cafe\u0301": ("decomposed", "not in normal form", "`café`"),
    "/\ufb01le": ("compatibility form", "not in normal form", "`file`"),
    "/a" * (MAX_SEGMENTS + 1): ("too deep", "more than", "/**"),
}


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [pytest.param(text, *row[1:], id=row[0]) for text, row in REFUSED.items()],
)
def test_refused_with_what_to_write(text: str, what: str, fix: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert str(caught.value) == f"{caught.value.what}; {caught.value.fix}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/items", "/items/"),
        ("/<id>", "/{id}"),
        ("/<string:id>", "/{id:str}"),
        ("/<int:id>", "/{id:int}"),
        ("/<uuid:id>", "/{id:uuid}"),
        ("/<float:id>", "/{id:float}"),
        ("/x/<path:p>", "/x/{p:path}/"),
        ("/<any(a,b):x>", "/<any(b, a):x>"),
    ],
)
def test_two_spellings_of_one_template(one: str, other: str) -> None:
    first, second = parse(one), parse(other)
    assert first.shape == second.shape
    assert first.names == second.names
    assert first.rank == second.rank


def test_names_are_no_part_of_the_shape() -> None:
    first, second = parse("/a/<x>/<path:y>"), parse("/a/<p>/<path:q>")
    assert first.shape == second.shape
    assert (first.names, second.names) == (("x", "y"), ("p", "q"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a", "/b"),
        ("/<int:x>", "/<float:x>"),
        ("/<x>", "/<path:x>"),
        ("/<path:x>", "/**"),
        ("/<any(a,b):x>", "/<any(a,c):x>"),
        ("/any", "/<any(any):x>"),
        ("/plain", "/<x>"),
    ],
)
def test_other_shapes(one: str, other: str) -> None:
    assert parse(one).shape != parse(other).shape


def test_rank_from_the_most_specific_to_the_least() -> None:
    texts = ["/x", "/<any(x,y):a>", "/<int:a>", "/<a>", "/<path:a>", "/**"]
    ranks = [parse(text).rank for text in texts]
    assert ranks == sorted(set(ranks))
    assert parse("/<int:a>").rank == parse("/<float:a>").rank == parse("/<uuid:a>").rank
    assert parse("/x").rank < parse("/x/<path:p>").rank < parse("/x/**").rank
    assert parse("/x/<a>/**").rank < parse("/x/**").rank


pieces = st.sampled_from([*"/<>{}:(),*;%.a1 é", "int", "any", "path", "**", "<id>", "{id:int}"])


@given(st.text() | st.lists(pieces, max_size=12).map(lambda found: "/" + "".join(found)))
def test_any_text_is_a_template_or_a_template_error(text: str) -> None:
    try:
        template = parse(text)
    except TemplateError as error:
        found = error
    else:
        assert parse(template.text) == template
        assert len(set(template.names)) == len(template.names)
        return
    assert found.what
    assert found.fix
