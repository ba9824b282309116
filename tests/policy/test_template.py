"""Path templates: both spellings, and every text that is refused with what to write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.segments import (
    Any,
    DoubleStar,
    Literal,
    PathTail,
    Plain,
    Segment,
    Typed,
)
from authz_middleware.policy.template import MAX_SEGMENTS, TemplateError, parse

READ: dict[str, tuple[Segment, ...]] = {
    "/": (),
    "/items": (Literal("items"),),
    "/items/": (Literal("items"),),
    "/a/b.c/~d": (Literal("a"), Literal("b.c"), Literal("~d")),
    "/café": (Literal("café"),),
    "/50%": (Literal("50%"),),
    "/new file": (Literal("new file"),),
    "/$metadata": (Literal("$metadata"),),
    "/v1/items:cancel": (Literal("v1"), Literal("items:cancel")),
    "/f(x)/c++": (Literal("f(x)"), Literal("c++")),
    "/<id>": (Plain("id"),),
    "/<string:id>": (Plain("id"),),
    "/<int:id>": (Typed("int", "id"),),
    "/<float:x>/": (Typed("float", "x"),),
    "/<uuid:key>/x": (Typed("uuid", "key"), Literal("x")),
    "/files/<path:rest>": (Literal("files"), PathTail("rest")),
    "/<path:rest>/": (PathTail("rest"),),
    "/<any(en,de):lang>": (Any(("en", "de"), "lang"),),
    "/<any(en, de ):lang>": (Any(("en", "de"), "lang"),),
    "/<any(\"en\", 'de'):lang>": (Any(("en", "de"), "lang"),),
    "/<any(a*b,x:y,new file):it>": (Any(("a*b", "x:y", "new file"), "it"),),
    "/{id}": (Plain("id"),),
    "/{id:str}": (Plain("id"),),
    "/{id:int}": (Typed("int", "id"),),
    "/{id:float}": (Typed("float", "id"),),
    "/{id:uuid}": (Typed("uuid", "id"),),
    "/files/{rest:path}": (Literal("files"), PathTail("rest")),
    "/{a}/{b}": (Plain("a"), Plain("b")),
    "/**": (DoubleStar(),),
    "/x/**": (Literal("x"), DoubleStar()),
    "/x/**/": (Literal("x"), DoubleStar()),
}


@pytest.mark.parametrize(("text", "segments"), READ.items(), ids=READ.keys())
def test_read(text: str, segments: tuple[Segment, ...]) -> None:
    template = parse(text)
    assert template.segments == segments
    assert template.text == str(template) == text


REFUSED: dict[str, tuple[str, int, str, str]] = {
    # text: (id, column, part of what, part of fix)
    "": ("empty", 0, "starts with", "write `/`"),
    "items": ("no leading slash", 0, "starts with", "write `/items`"),
    "^/admin": ("anchored", 0, "starts with", "write `/^/admin`"),
    "//": ("only slashes", 1, "empty segment", "one `/`"),
    "/a//b": ("double slash", 3, "empty segment", "one `/`"),
    "/a//": ("double slash at the end", 3, "empty segment", "one `/`"),
    # Parameters
    "/a/<>": ("no name", 4, "without a name", "letters"),
    "/{}": ("no name in braces", 2, "without a name", "letters"),
    "/<int:>": ("no name after a converter", 6, "without a name", "letters"),
    "/<1a>": ("bad name", 2, "`1a` is no parameter name", "letters"),
    "/<a-b>": ("hyphen in a name", 2, "`a-b` is no parameter name", "letters"),
    "/<int: id>": ("space before a name", 6, "is no parameter name", "letters"),
    "/{*rest}": ("catch-all of others", 2, "is no parameter name", "letters"),
    "/{id?}": ("optional", 2, "is no parameter name", "letters"),
    "/<a>/x/<a>": ("repeated name", 7, "second parameter `a`", "its own name"),
    "/<a>/{b}": ("both spellings", 5, "in one path", "one way"),
    "/<a:b:c>": ("too many colons", 2, "is no parameter", "<converter:name>"),
    # Converters
    "/x/<it:id>": ("misspelt converter", 4, "unknown converter `it`", "`<int:id>`, or `<id>`"),
    "/<str:id>": ("brace converter in angles", 2, "unknown converter `str`", "`<id>`"),
    "/{id:string}": ("angle converter in braces", 5, "unknown converter `string`", "`{id}`"),
    "/<slug:id>": ("Django's slug", 2, "unknown converter `slug`", "write `<id>`"),
    "/{id:[0-9]+}": ("regular expression", 5, "unknown converter `[0-9]+`", "write `{id}`"),
    "/<id:int>": ("other order in angles", 2, "unknown converter `id`", "write `<int:id>`"),
    "/{int:id}": ("other order in braces", 6, "unknown converter `id`", "write `{id:int}`"),
    "/<:id>": ("empty converter", 2, "unknown converter ``", "write `<id>`"),
    "/{id:}": ("empty converter in braces", 5, "unknown converter ``", "write `{id}`"),
    "/{:x}": ("no name before a converter", 3, "unknown converter `x`", "write `{name}`"),
    "/{a:any(b,c)}": ("any in braces", 4, "unknown converter", "write `{a}`"),
    "/<int(min=1):x>": ("arguments", 5, "`int` takes no arguments", "write `<int:x>`"),
    "/<string(length=2):x>": ("string's arguments", 8, "takes no arguments", "write `<x>`"),
    "/<path():x>": ("empty arguments", 6, "takes no arguments", "write `<path:x>`"),
    # any
    "/<any:x>": ("any without values", 6, "`any` without values", "<any(a,b):x>"),
    "/<any():x>": ("any of nothing", 6, "`any` without values", "<any(a,b):x>"),
    "/<any( ):x>": ("any of a space", 6, "`any` without values", "<any(a,b):x>"),
    "/<any(a,):x>": ("any with an empty value", 8, "empty value", "comma"),
    '/<any(a,""):x>': ("any with a quoted empty value", 8, "empty value", "comma"),
    "/<any(a,b,a):x>": ("any with a value twice", 10, "`a` twice", "once"),
    "/<any(a,b;c):x>": ("any with a refused value", 8, "two ways", "400"),
    "/<any(a,..):x>": ("any with a dot segment", 8, "two ways", "400"),
    "/<any(a,%41):x>": ("any with an escape", 8, "percent-encoded", "`A`"),
    "/<any(a/b):x>": ("any with a slash", 1, "unbalanced", "<name>"),
    # Parts of segments, and brackets
    "/x/{name}.json": ("partial", 3, "more than a parameter", "write `{name}` alone"),
    "/<a>-<b>": ("two in one", 1, "more than a parameter", "write `<a>` alone"),
    "/@{user}": ("partial with a prefix", 1, "more than a parameter", "write `{user}` alone"),
    "/{id:[0-9]{4}}": ("nested braces", 1, "unbalanced", "`{name}`"),
    "/<a": ("not closed", 1, "unbalanced", "<name>"),
    "/a>": ("not opened", 1, "unbalanced", "<name>"),
    "/{a>": ("closed by another", 1, "unbalanced", "<name>"),
    "/}": ("only closed", 1, "unbalanced", "<name>"),
    # Tails
    "/<path:p>/x": ("path in the middle", 1, "only at the end", "`<name>`"),
    "/a/**/b": ("double star in the middle", 3, "only at the end", "`<name>`"),
    # Other pattern languages
    "/a/*": ("star", 3, "`*` in `*`", "`<name>`"),
    "/a/*.json": ("glob", 3, "`*` in `*.json`", "`<name>`"),
    "/a***": ("stars", 2, "`*` in `a***`", "/**"),
    "/a/.*": ("regular expression for all", 4, "`*` in `.*`", "/**"),
    "/^a": ("caret", 1, "`^` in", "`<name>`"),
    "/a$": ("dollar at the end", 2, "`$` in", "`<name>`"),
    "/(a|b)": ("alternatives", 3, "`|` in", "<any(a,b):name>"),
    "/[id]": ("brackets", 1, "`[` in", "`<name>`"),
    "/users/:id": ("Express parameter", 7, "`:` in", "`<name>`"),
    # Texts that no request can hold
    "/a/../b": ("dot segment", 3, "two ways", "400"),
    "/a;b": ("semicolon", 1, "two ways", "400"),
    "/a?b=c": ("query", 1, "two ways", "400"),
    "/a#b": ("fragment", 1, "two ways", "400"),
    "/a\\b": ("backslash", 1, "two ways", "400"),
    "/a /b": ("outer space", 1, "two ways", "400"),
    "/a\u200bb": ("invisible", 1, "'a\\u200bb'", "400"),
    "/a%2Fb": ("escaped slash", 1, "two ways", "400"),
    "/caf%C3%A9": ("escape", 1, "percent-encoded", "`café`"),
    "/a%2541": ("escape of an escape", 1, "two ways", "400"),
    "/a/cafe\u0301": ("decomposed", 3, "not in normal form", "`café`"),
    "/\ufb01le": ("compatibility form", 1, "not in normal form", "`file`"),
    "/a" * (MAX_SEGMENTS + 1): ("too deep", 2 * MAX_SEGMENTS + 1, "more than", "/**"),
}


@pytest.mark.parametrize(
    ("text", "column", "what", "fix"),
    [pytest.param(text, *row[1:], id=row[0]) for text, row in REFUSED.items()],
)
def test_refused_with_what_to_write(text: str, column: int, what: str, fix: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.column == column
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
    assert 0 <= found.column <= len(text)
