"""Every mistake that is found in a condition at load: where, what, and what to write instead."""

from __future__ import annotations

import pytest

from authz_middleware.policy.conditions import Condition
from authz_middleware.policy.conditions.parsing import MAX_HEIGHT, MAX_LENGTH
from tests.policy.conditions.asking import condition, mistakes

TABLE = [
    # Syntax
    ("", "0: the condition ends where a value should stand"),
    ("subject.id ==", "13: the condition ends where a value should stand"),
    ("subject.id = 'x'", "11: `=` is no operator; write `==`"),
    ("a & b", "2: `&` is no operator; write `&&`"),
    ("a | b", "2: `|` is no operator; write `||`"),
    ("subject.id == 'x", "14: this text has no end; close it with `'`"),
    ('subject.id == "x', '14: this text has no end; close it with `"`'),
    ("subject.`id` == 'x'", '8: a name in backquotes is not supported; write `x["a name"]`'),
    ("subject.id # x", "11: '#' has no meaning here"),
    ("subject.id\x00", "10: '\\x00' has no meaning here"),
    ("subject.id == '\ud800'", "14: this text holds half of a surrogate pair"),
    ("subject.id == r'\ud800'", "14: this text holds half of a surrogate pair"),
    (r"subject.id == 'a\q'", r"16: `\q` is no escape; write `\\` for a backslash"),
    (r"subject.id == '\ud800'", r"15: `\ud800` is no character of Unicode"),
    (r"subject.id == '\U00110000'", r"15: `\U00110000` is no character of Unicode"),
    (
        "subject.id == 'x' subject.id",
        "18: here stands `subject` instead of the end, or an operator such as `&&`",
    ),
    (
        "subject.id == 'x' 'y'",
        "18: here stands a text instead of the end, or an operator such as `&&`",
    ),
    ("(subject.id == 'x'", "18: the condition ends where `)` should stand"),
    ("subject.id in ['x' 'y']", "19: here stands a text instead of `,` or `]`"),
    ("{'a': 1 'b': 2}", "8: here stands a text instead of `,` or `}`"),
    ("{'a' 1}", "5: here stands `1` instead of `:`"),
    ("size(subject.id,)", "16: here stands `)` instead of a value"),
    ("subject. == 1", "9: here stands `==` instead of the name of an attribute or of a function"),
    ("subject.in == 1", "8: here stands `in` instead of the name of an attribute or of a function"),
    ("subject.true", "8: here stands `true` instead of the name of an attribute or of a function"),
    ("in", "0: here stands `in` instead of a value"),
    ("!-subject.id", "2: here stands `subject` instead of a number"),
    ("if(subject.id)", "0: `if` is a reserved word of CEL"),
    ("subject.id == 1u", "14: unsigned numbers are not supported; leave the `u` out"),
    ("subject.id == b'x'", "14: bytes are not supported; write a text"),
    ("subject.?id == 'x'", "8: optional values are not supported; write `has(a.b) && …`"),
    ("subject.roles[?0] == 'x'", "14: optional values are not supported; write `has(a.b) && …`"),
    ("[?subject.id] == ['x']", "1: optional values are not supported; write `has(a.b) && …`"),
    ("Msg{a: 1}", '0: messages are not supported; write `{"name": value}`'),
    (".subject.id == 'x'", "0: here stands `.` instead of a value"),
    # Numbers
    ("resource.n == 9223372036854775808", "14: a whole number does not fit into 64 bits"),
    ("resource.n == -9223372036854775809", "15: a whole number does not fit into 64 bits"),
    ("resource.n == 0x8000000000000000", "14: a whole number does not fit into 64 bits"),
    (f"resource.n == {'9' * 4000}", "14: a whole number does not fit into 64 bits"),
    ("resource.n == 1e400", "14: a number is too large"),
    # Names
    ("subject.rolls == []", "8: `subject` has no attribute `rolls`; did you mean `roles`?"),
    (
        "action.method == 'GET'",
        "7: `action` has no attribute `method`; known: `name`",
    ),
    *(
        (text, f"{at}: `{name}` is not a method; write it in capitals: GET, POST, WS")
        for text, at, name in (
            ("action.name == 'post'", 15, "post"),
            ("'Post' != action.name", 0, "Post"),
            ("!(action['name'] in ['GET', 'put'])", 28, "put"),
            ("action.name == ''", 15, ""),
        )
    ),
    ("action.name == '*'", "15: `*` is not a method; leave the comparison out"),
    ("action.name == 'HEAD'", "15: HEAD is covered by GET and cannot be ruled apart; write GET"),
    ("-context.time < context.time", "0: `-` needs a number, not a time"),
    (
        "context.time - context.time < -duration('1h')",
        "30: `-` needs a number, not a duration",
    ),
    ("contxt.ip == 'x'", "0: `contxt` is not known here; did you mean `context`?"),
    ("subject == 'x'", "0: `subject` is read by its attributes; write `subject.id`"),
    ("action == 'x'", "0: `action` is read by its attributes; write `action.name`"),
    ("resource == 'x'", "0: `resource` is read by its attributes; write `resource.owner`"),
    ("context == 'x'", "0: `context` is read by its attributes; write `context.time`"),
    ("'id' in subject", "8: `subject` is read by its attributes; write `subject.id`"),
    (
        "has(subject.name)",
        "12: `subject` has no attribute `name`; known: `authenticated`, `claims`, `id`",
    ),
    ("subject.id.x == 1", "11: `subject.id` is a text, without attributes of its own"),
    ("resource.params.x == 1", None),
    (
        "resource.params.tenat == 'x'",
        "16: the path has no parameter `tenat`; did you mean `tenant`?",
    ),
    (
        "resource.params.id.x == 1",
        "19: `resource.params.id` is a whole number, without attributes of its own",
    ),
    (
        "context.headers['X-Plan'] == 'x'",
        '16: the names of header fields are in lower case here; write `context.headers["x-plan"]`',
    ),
    (
        "context.headers.a.b == 'x'",
        "18: `context.headers.a` is a text, without attributes of its own",
    ),
    ("'x'.y == 1", "4: a text has no attribute `y`"),
    # Functions
    ("sizes(subject.id) == 1", "0: there is no function `sizes`; did you mean `size(…)`?"),
    (
        "subject.id.startswith('x')",
        "11: there is no function `startswith`; did you mean `startsWith(…)`?",
    ),
    (
        "startsWith(subject.id, 'x')",
        "0: `startsWith` is called on a value; write `x.startsWith(…)`",
    ),
    ("exists(subject.roles, x, true)", "0: `exists` is called on a value; write `x.exists(…)`"),
    ("subject.id.int() == 1", "11: `int` is not called on a value; write `int(x)`"),
    ("subject.id.startsWith()", "11: `startsWith` takes 1 arguments, not 0"),
    ("context.time.getHours('UTC', 'UTC') == 1", "13: `getHours` takes 0 or 1 arguments, not 2"),
    ("subject.id.size(1) == 1", "11: `size` takes 0 arguments, not 1"),
    ("size() == 1", "0: `size` takes 1 arguments, not 0"),
    ("has()", "0: `has` takes 1 arguments, not 0"),
    (
        "has(subject)",
        (
            "4: `has` takes an attribute such as `resource.owner`; for other names write"
            ' `"a-name" in'
            " resource.labels`"
        ),
    ),
    ("subject.roles.exists(r, has(r.x))", "30: a text has no attribute `x`"),
    (
        "subject.roles.contains('x')",
        "14: `contains` is asked of a text, not of a list; write `x in list`",
    ),
    ("subject.roles.endsWith('x')", "14: `endsWith` is asked of a text, not of a list"),
    ("subject.id.contains(1)", "20: `contains` takes a text, not a whole number"),
    ("size(1) == size(subject.id)", "0: a whole number has no size"),
    ("int(context.time) == 1", "0: `int` does not take a time"),
    ("double(subject.authenticated) == 1.0", "0: `double` does not take a boolean"),
    ("string(1.5) == subject.id", "0: `string` does not take a number with a point"),
    ("timestamp(1.5) == context.time", "0: `timestamp` does not take a number with a point"),
    (
        "timestamp('2026-01-01') < context.time",
        "10: this is no time; write it after RFC 3339: `2026-01-31T09:00:00Z`",
    ),
    ("timestamp('2026-02-30T00:00:00Z') < context.time", None),
    (
        "context.time - context.time < duration('x')",
        "39: this is no duration; write `1h30m`, `45s`, `20ms`",
    ),
    (
        "context.time - context.time < duration(subject.id)",
        "47: a duration has to be written out as a text",
    ),
    (
        "context.ip == cidr('10.0.0.0/8')",
        (
            "14: a network is only asked whether it contains an address; write"
            ' `cidr("10.0.0.0/8").containsIP(context.ip)`'
        ),
    ),
    (
        "'10.0.0.0/8'.containsIP(context.ip)",
        '13: `containsIP` is called on a network; write `cidr("10.0.0.0/8")`',
    ),
    (
        "cidr('10.0.0.1/8').containsIP(context.ip)",
        '5: this is no network; write it as `"10.0.0.0/8"`, host bits zero',
    ),
    ("cidr('10.0.0.1').containsIP(context.ip)", None),
    ("cidr(subject.id).containsIP(context.ip)", "13: a network has to be written out as a text"),
    (
        "cidr('::ffff:10.0.0.0/104').containsIP(context.ip)",
        '5: clients over IPv4 are told by their IPv4 address; write `"10.0.0.0/8"`',
    ),
    ("cidr('10.0.0.0/8').containsIP(1)", "30: an address is a text, not a whole number"),
    (
        "context.time.getHours('Europe/Wien') == 1",
        (
            "22: this time zone is not known here; write a name such as `Europe/Vienna`, or"
            " an offset"
            " such as `+02:00`"
        ),
    ),
    ("context.time.getHours(subject.id) == 1", "30: a time zone has to be written out as a text"),
    ("subject.id.getHours() == 1", "11: `getHours` is asked of a time, not of a text"),
    (
        "(context.time - context.time).getHours() == 1",
        (
            "30: `getHours` is asked of a time, not of a duration; write a comparison: `a - b <"
            ' duration("1h")`'
        ),
    ),
    (
        "subject.id.matches(subject.issuer)",
        "27: a regular expression has to be written out as a text",
    ),
    ("subject.roles.matches('x')", "14: `matches` is asked of a text, not of a list"),
    ("subject.id.matches('(x')", "19: this is no regular expression (RE2's syntax)"),
    # At the character of the expression; with escapes only its beginning is known.
    (r"subject.id.matches(r'a\Qx')", r"22: `\Q` is not supported in regular expressions"),
    (r"subject.id.matches(r'''a\Qx''')", r"24: `\Q` is not supported in regular expressions"),
    (
        'subject.id.matches("""ab[[x]""")',
        "25: `[` has to be escaped in `[…]`; put a `\\` before it",
    ),
    (r"subject.id.matches('a\\Qx')", r"19: `\Q` is not supported in regular expressions"),
    (
        "subject.id.matches('(?i)x')",
        "20: of the groups only `(…)` and `(?:…)` are supported in regular expressions",
    ),
    # Macros
    ("subject.roles.exists(r)", "14: `exists` takes 2 arguments, not 1"),
    ("subject.roles.exists(r.x, true)", "23: here stands the name of a variable; write `each`"),
    (
        "subject.roles.exists(r, q == 'x')",
        "24: `q` is not known here; known: `action`, `context`, `r`, `resource`, `subject`",
    ),
    ("subject.roles.exists(r, r == 'x') && r == 'y'", "37: `r` is not known here; known:"),
    (
        "subject.roles.exists(r, subjct.id == r)",
        "24: `subjct` is not known here; did you mean `subject`?",
    ),
    (
        "subject.roles.exists(r, subject.id == 'x')",
        "21: what `exists` asks of each does not read `r`; write a comparison, such as `r == …`",
    ),
    ("subject.roles.map(r, subject.id) == ['x']", "18: what `map` asks of each does not read `r`"),
    (
        "subject.roles.exists(r, resource.tags.exists(t, t == 'x'))",
        "21: what `exists` asks of each does not read `r`",
    ),
    (
        "subject.roles.exists(r, r == 'x') || subject.roles.exists(r, subject.id == 'x')",
        "58: what `exists` asks of each does not read `r`",
    ),
    ("subject.roles.exists(r, true)", "24: this reads no attribute, so it is always the same"),
    ("subject.roles.all(r, r == 'x' || r != 'x')", "21: this part is always true; leave it out"),
    (
        "subject.roles.exists(subject, true)",
        "21: `subject` is taken; write another name, such as `each`",
    ),
    (
        "subject.roles.exists(r, subject.roles.exists(r, r == 'x'))",
        "45: `r` is taken; write another name, such as `each`",
    ),
    (
        "subject.roles.exists(r, x == 'x')",
        "24: `x` is not known here; known: `action`, `context`, `r`",
    ),
    (
        "subject.roles.exists(r, 'x')",
        "24: what `exists` asks of each is true or false, but this is a text",
    ),
    (
        "subject.roles.map(r, r, r) == []",
        "21: what `map` asks of each is true or false, but this is a text",
    ),
    ("subject.id.exists(r, r == 'x')", "11: `exists` goes over a list or a table, not a text"),
    (
        "subject.roles.map(r, r).exists(r, r == 'x')",
        (
            "14: `exists` goes only over lists that are read, written out or filtered; put"
            " what `map`"
            " or `+` does into its body"
        ),
    ),
    (
        "(resource.a + resource.b).exists(r, r == 'x')",
        "12: `exists` goes only over lists that are read",
    ),
    ("(subject.roles + ['a']).exists(r, r == 'x')", None),
    ("[subject.roles + ['a']][0].exists(r, r == 'x')", None),
    (
        "resource.a.all(x, resource.b.all(y, resource.c.all(z, x == z)))",
        "47: macros are nested deeper than 2",
    ),
    # Kinds
    ("subject.id", "8: a condition is true or false, but this is a text"),
    ("subject.id && resource.a", "8: each side of `&&` is true or false, but this is a text"),
    ("!subject.id", "9: what `!` turns round is true or false, but this is a text"),
    ("subject.id ? true : false", "8: what stands before `?` is true or false, but this is a text"),
    ("subject.id == 5", "11: a text and a whole number are never equal"),
    ("subject.roles != 'x'", "14: a list and a text are never equal"),
    ("subject.id < 5", "11: a text and a whole number cannot be compared with `<`"),
    ("subject.roles < ['x']", "14: a list and a list cannot be compared with `<`"),
    ("subject.authenticated < true", "22: a boolean and a boolean cannot be compared with `<`"),
    ("5 in subject.roles", "2: a whole number is never there, where every one is a text"),
    ("5 in subject.claims", "2: a whole number is never there, where every one is a text"),
    (
        "'x' in subject.id",
        (
            "4: `in` looks into a list or a table, not into a text; write `a.contains(b)`"
            " for a part"
            " of a text"
        ),
    ),
    ("'x' in context.time", "4: `in` looks into a list or a table, not into a time"),
    ("subject.id in []", "14: nothing is ever in an empty list"),
    ("subject.id in {}", "14: nothing is ever in an empty list"),
    (
        "subject.id == null",
        "14: nothing is null here: null attributes are left out; write `has(…)` or",
    ),
    ("subject.id + 1 == 'x'", "11: a text and a whole number do not go together with `+`"),
    (
        "1 + 1.5 < resource.n",
        (
            "2: a whole number and a number with a point do not go together with `+`; write"
            " `double(…)`"
            " around the whole number"
        ),
    ),
    (
        "resource.n % 1.5 == 0",
        "11: a value of any kind and a number with a point do not go together",
    ),
    ("context.time + context.time == 1", "13: a time and a time do not go together with `+`"),
    ("-subject.id == 'x'", "0: `-` needs a number, not a text"),
    ("subject.id[0] == 'x'", "11: a text has no entries"),
    ("subject.roles['x'] == 'x'", None),
    ("subject.claims[0] == 'x'", "15: an entry of a table is named by a text, not a whole number"),
    ("{1: 2}[subject.id] == 2", "1: the keys of a table are texts, written out"),
    ("{'a': 1, 'a': 2}[subject.id] == 2", "9: this key stands twice; keep one of them"),
    # What says nothing
    ("true", "0: this reads no attribute, so it is always the same; leave it out"),
    ("1 < 2", "2: this reads no attribute, so it is always the same; leave it out"),
    (
        "['a'].all(x, x == 'a')",
        "6: this reads no attribute, so it is always the same; leave it out",
    ),
    (
        "true || subject.id == 'x'",
        "0: this reads no attribute, so it is always the same; leave it out",
    ),
    (
        "subject.id == 'x' && 1 < 2",
        "23: this reads no attribute, so it is always the same; leave it",
    ),
    ("(1 < 2 ? subject.id : 'x') == 'x'", "3: this reads no attribute, so it is always the same"),
    ("subject.id == subject.id", "11: both sides are the same, so this says nothing"),
    ("subject.id == 'x' || subject.id != 'x'", "0: this condition is always true; leave it out"),
    ("subject.id == 'x' && 'x' != subject.id", "0: this condition is always false; leave it out"),
    ("!(resource.a && !resource.a)", "0: this condition is always true; leave it out"),
    ("resource.a ? true : true", "11: this condition is always true; leave it out"),
    ("resource.a ? !resource.a : resource.a", "11: this condition is always false; leave it out"),
    (
        "resource.a || (resource.b || !resource.b)",
        "15: this part is always true; leave it out",
    ),
]


@pytest.mark.parametrize(("text", "message"), TABLE, ids=[repr(text)[:60] for text, _ in TABLE])
def test_is_found(text, message):
    (found, *others) = mistakes(text)
    assert not others
    if message is not None:
        assert found.startswith(message)


def test_all_are_told_at_once_in_the_order_of_the_text():
    found = mistakes("subject.rolls == [] && foo(1) || context.tim < context.time && x == 1")
    assert [each.partition(":")[0] for each in found] == ["8", "23", "41", "63"]


def test_a_path_that_is_not_known_may_have_any_parameter():
    asked = condition("resource.params.any == 'x' && resource.params.thing.other == 1", params=None)
    assert asked.reads.params == {"any", "thing"}


@pytest.mark.parametrize(
    ("opened", "closed"), [("(", ")"), ("[", "]"), ("!", ""), ("{'a': ", "}"), ("size(", ")")]
)
@pytest.mark.parametrize("times", [MAX_HEIGHT + 1, 1000])
def test_nesting_is_bounded(opened, closed, times):
    (found,) = mistakes(opened * times + "subject.id" + closed * times)
    assert f"nested deeper than {MAX_HEIGHT}" in found or "longer than" in found


@pytest.mark.parametrize("joined", [" + ", " - ", " * ", " == ", ".a.", "[0]", " ? 1 : "])
def test_chains_are_bounded(joined):
    (found,) = mistakes(joined.join(["resource.a"] * (MAX_HEIGHT + 2)))
    assert f"nested deeper than {MAX_HEIGHT}" in found or "instead of" in found


def test_many_sides_of_a_logical_operator_are_not_deep():
    text = " || ".join(f"subject.id == 'u{number}'" for number in range(150))
    assert isinstance(condition(text), Condition)


def test_length_is_bounded():
    (found,) = mistakes("subject.id == 'x' //" + "x" * MAX_LENGTH)
    assert found.startswith(f"{MAX_LENGTH}: a condition is longer than {MAX_LENGTH} characters")


@pytest.mark.parametrize("text", ["subject.id in [{}]", "{{{}}}[subject.id] == 1"])
def test_lists_that_are_written_out_are_bounded(text):
    entry = "'{}': 1" if "{{" in text else "'{}'"
    inside = ", ".join(entry.format(number) for number in range(201))
    (found,) = mistakes(text.format(inside))
    assert "more than 200 entries are written out here" in found


def test_the_texts_of_a_condition_may_end_in_a_comma():
    text = "subject.id in ['a', 'b',] && {'a': 1,}['a'] == resource.n"
    assert isinstance(condition(text), Condition)
