"""Functions and macros of conditions: which there are, what they take, how the evaluator does them.

What CEL defines but the evaluator lacks or does in its own way is done by functions of ours. Each
of their results is joined with something (`+ 0`) that turns their null into an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Network
from typing import TYPE_CHECKING

from authz_middleware.policy.conditions import evaluator, functions, nodes
from authz_middleware.policy.conditions.attributes import ROOTS
from authz_middleware.policy.conditions.faults import Mistake, Unreadable, nearest
from authz_middleware.policy.conditions.kinds import (
    ANY,
    BOOLEAN,
    DOUBLE,
    DURATION,
    INT,
    LIST,
    MAP,
    TEXT,
    TIME,
    Kind,
)
from authz_middleware.policy.conditions.lexing import RESERVED
from authz_middleware.policy.conditions.operators import decided
from authz_middleware.policy.conditions.parts import Part, no_attribute, written
from authz_middleware.policy.conditions.patterns import translated

if TYPE_CHECKING:
    from authz_middleware.policy.conditions.checking import Checker

__all__ = ["MACROS", "MAX_NESTING", "call"]

MAX_NESTING = 2
"""How deep macros may be nested: each level multiplies the work."""

ASK_A_TEXT = "ask a text, such as `subject.id`"

MACROS = ("all", "exists", "exists_one", "map", "filter")


def call(checker: Checker, node: nodes.Call) -> Part:
    """Check a call, whatever it calls."""
    if node.target is None:
        known: Mapping[str, _Call] = _GLOBALS
    elif node.name in MACROS:
        return _macro(checker, node, node.target)
    else:
        known = _METHODS
    found = known.get(node.name)
    if found is None:
        raise Unreadable(node.at, *_unknown(node))
    return found(checker, node)


_Call = Callable[["Checker", nodes.Call], Part]


def _unknown(node: nodes.Call) -> tuple[str, str]:
    methods = {*_METHODS, *MACROS}
    if node.target is None:
        if node.name in methods:
            return f"`{node.name}` is called on a value", f"write `x.{node.name}(…)`"
        return f"there is no function `{node.name}`", nearest(node.name, _GLOBALS, "(…)")
    if node.name in _GLOBALS:
        return f"`{node.name}` is not called on a value", f"write `{node.name}(x)`"
    return f"there is no function `{node.name}`", nearest(node.name, methods, "(…)")


def _arguments(node: nodes.Call, least: int, most: int) -> None:
    count = len(node.arguments)
    if not least <= count <= most:
        wanted = f"{least}" if least == most else f"{least} or {most}"
        usage = f"{'x.' * (node.target is not None)}{node.name}({', '.join('abc'[:least])})"
        what = f"`{node.name}` takes {wanted} arguments, not {count}"
        raise Unreadable(node.at, what, f"write `{usage}`")


def _text(node: nodes.Node, what: str) -> str:
    """A text that is written out, so that it can be checked before anybody asks."""
    if isinstance(node, nodes.Literal) and isinstance(node.value, str):
        return node.value
    raise Unreadable(
        node.at, f"{what} has to be written out as a text", 'write it in quotes: `"…"`'
    )


# Functions


def _has(checker: Checker, node: nodes.Call) -> Part:
    _arguments(node, 1, 1)
    (argument,) = node.arguments
    if not isinstance(argument, nodes.Select):
        raise Unreadable(
            argument.at,
            "`has` takes an attribute such as `resource.owner`",
            'for other names write `"a-name" in resource.labels`',
        )
    if (steps := checker.steps(argument)) is not None:
        return checker.attribute(steps, presence=True)
    target = checker.part(argument.target)
    if target.kind not in (ANY, MAP):
        raise Unreadable(argument.at, *no_attribute(target.kind, argument.field))
    return Part(BOOLEAN, f"has({target.code}.{argument.field})", target.reads)


def _size(checker: Checker, node: nodes.Call) -> Part:
    if node.target is None:
        _arguments(node, 1, 1)
        part = checker.part(node.arguments[0])
    else:
        _arguments(node, 0, 0)
        part = checker.part(node.target)
    if part.kind not in (ANY, TEXT, MAP) and part.kind.item is None:
        raise Unreadable(node.at, f"{part.kind} has no size", "ask a text, a list or a table")
    checker.functions.add("f_size")
    return Part(INT, f"(f_size({part.code}) + 0)", part.reads)


def _conversion(name: str, kinds: tuple[Kind, ...], result: Kind, joined: str) -> _Call:
    def convert(checker: Checker, node: nodes.Call) -> Part:
        _arguments(node, 1, 1)
        part = checker.part(node.arguments[0])
        if part.kind not in (ANY, *kinds):
            fix = f"give it {' or '.join(map(str, kinds))}"
            raise Unreadable(node.at, f"`{node.name}` does not take {part.kind}", fix)
        checker.functions.add(name)
        return Part(result, f"({name}({part.code}) + {joined})", part.reads)

    return convert


_timestamp_of = _conversion("f_timestamp", (TEXT, INT, TIME), TIME, 'duration("0s")')


def _timestamp(checker: Checker, node: nodes.Call) -> Part:
    match node.arguments:
        case (nodes.Literal(at, str(text)),) if functions.timestamp(text) is None:
            fix = "write it after RFC 3339: `2026-01-31T09:00:00Z`"
            raise Unreadable(at, "this is no time", fix)
        case _:
            return _timestamp_of(checker, node)


def _duration(_checker: Checker, node: nodes.Call) -> Part:
    _arguments(node, 1, 1)
    text = _text(node.arguments[0], "a duration")
    if not functions.duration(text):
        raise Unreadable(
            node.arguments[0].at, "this is no duration", "write `1h30m`, `45s`, `20ms`"
        )
    return Part(DURATION, f"duration({written(text)})")


def _cidr(_checker: Checker, node: nodes.Call) -> Part:
    fix = 'write `cidr("10.0.0.0/8").containsIP(context.ip)`'
    raise Unreadable(node.at, "a network is only asked whether it contains an address", fix)


def _contains_ip(checker: Checker, node: nodes.Call) -> Part:
    _arguments(node, 1, 1)
    block = node.target
    if not isinstance(block, nodes.Call) or (block.target, block.name) != (None, "cidr"):
        raise Unreadable(
            node.at, "`containsIP` is called on a network", 'write `cidr("10.0.0.0/8")`'
        )
    _arguments(block, 1, 1)
    text = _text(block.arguments[0], "a network")
    at, network = block.arguments[0].at, functions.network(text)
    if network is None:
        raise Unreadable(at, "this is no network", 'write it as `"10.0.0.0/8"`, host bits zero')
    if isinstance(network, IPv6Network) and network[0].ipv4_mapped:
        fix = f'write `"{network[0].ipv4_mapped}/{max(network.prefixlen - 96, 0)}"`'
        raise Unreadable(at, "clients over IPv4 are told by their IPv4 address", fix)
    address = checker.part(node.arguments[0])
    if address.kind not in (ANY, TEXT):
        what = f"an address is a text, not {address.kind}"
        raise Unreadable(node.arguments[0].at, what, "write `context.ip`")
    checker.functions.add("f_within")
    code = f"(f_within({written(text)}, {address.code}) ? true : false)"
    return Part(BOOLEAN, code, address.reads)


def _getter(checker: Checker, node: nodes.Call) -> Part:
    _arguments(node, 0, 1)
    zone = "UTC"
    if node.arguments:
        zone = _text(node.arguments[0], "a time zone")
        if functions.zone(zone) is None:
            fix = "write a name such as `Europe/Vienna`, or an offset such as `+02:00`"
            raise Unreadable(node.arguments[0].at, "this time zone is not known here", fix)
    part = checker.part(node.target or node)
    if part.kind not in (ANY, TIME):
        fix = f"write `context.time.{node.name}()`"
        if part.kind is DURATION:
            fix = 'write a comparison: `a - b < duration("1h")`'
        raise Unreadable(node.at, f"`{node.name}` is asked of a time, not of {part.kind}", fix)
    checker.functions.add("f_part")
    code = f'(f_part({part.code}, "{node.name}", {written(zone)}) + 0)'
    return Part(INT, code, part.reads)


def _in_text(checker: Checker, node: nodes.Call) -> Part:
    _arguments(node, 1, 1)
    target, part = checker.part(node.target or node), checker.part(node.arguments[0])
    if target.kind not in (ANY, TEXT):
        in_list = node.name == "contains" and target.kind.item is not None
        fix = "write `x in list`" if in_list else ASK_A_TEXT
        raise Unreadable(node.at, f"`{node.name}` is asked of a text, not of {target.kind}", fix)
    if part.kind not in (ANY, TEXT):
        what = f"`{node.name}` takes a text, not {part.kind}"
        raise Unreadable(node.arguments[0].at, what, 'write it in quotes: `"…"`')
    code = f"{target.code}.{node.name}({part.code})"
    return Part(BOOLEAN, code, target.reads or part.reads)


def _matches(checker: Checker, node: nodes.Call) -> Part:
    _arguments(node, 1, 1)
    target = checker.part(node.target or node)
    if target.kind not in (ANY, TEXT):
        raise Unreadable(node.at, f"`matches` is asked of a text, not of {target.kind}", ASK_A_TEXT)
    written_out = node.arguments[0]
    pattern = translated(_text(written_out, "a regular expression"))
    at = written_out.at
    if isinstance(pattern, Mistake):
        inside = written_out.inside if isinstance(written_out, nodes.Literal) else None
        at = at if inside is None else inside + pattern.at
        raise Unreadable(at, pattern.what, pattern.fix)
    if not evaluator.compiles(f'"".matches({written(pattern)})'):
        what = "this is no regular expression (RE2's syntax)"
        raise Unreadable(at, what, "check what its brackets and counts belong to")
    checker.patterns |= checker.nesting > 0
    return Part(BOOLEAN, f"{target.code}.matches({written(pattern)})", target.reads)


# Macros


def _macro(checker: Checker, node: nodes.Call, target: nodes.Node) -> Part:
    _arguments(node, 2, 3 if node.name == "map" else 2)
    variable, *bodies = node.arguments
    name = _variable(checker, variable)
    if checker.nesting == MAX_NESTING:
        what = f"macros are nested deeper than {MAX_NESTING}"
        raise Unreadable(node.at, what, "keep a flat list for this with the resource")
    over = _range(checker, node, target)
    checker.nesting += 1
    checker.deepest = max(checker.deepest, checker.nesting)
    checker.copies |= node.name in ("map", "filter")
    code = f"x{checker.nesting}"
    item = TEXT if over.kind is MAP else over.kind.item or ANY
    checker.variables[name] = Part(item, code, reads=True)
    checker.named.discard(name)
    before = len(checker.mistakes.found)
    found = [checker.part(body) for body in bodies]
    del checker.variables[name]
    checker.nesting -= 1
    tests = bodies if node.name != "map" else bodies[:-1]
    for body, part in zip(tests, found, strict=False):
        if part.kind not in (ANY, BOOLEAN):
            what = f"what `{node.name}` asks of each is true or false, but this is {part.kind}"
            checker.mistakes.add(body.at, what, f"write a comparison, such as `{name} == …`")
        else:
            decided(checker, body.at, part, "this part")
    if name not in checker.named and len(checker.mistakes.found) == before:
        what = f"what `{node.name}` asks of each does not read `{name}`"
        checker.mistakes.add(variable.at, what, f"write a comparison, such as `{name} == …`")
    reads = over.reads or any(part.reads for part in found)
    code = f"{over.code}.{node.name}({', '.join((code, *(part.code for part in found)))})"
    if node.name == "filter":
        kind = LIST if over.kind.item is None else over.kind
        return Part(kind, code, reads)
    if node.name == "map":
        return Part(Kind("a list", found[-1].kind), code, reads, made=True)
    return Part(BOOLEAN, code, reads)


def _range(checker: Checker, node: nodes.Call, target: nodes.Node) -> Part:
    """The list that a macro goes over."""
    checker.ranges += 1
    over = checker.part(target)
    checker.ranges -= 1
    if over.kind not in (ANY, MAP) and over.kind.item is None:
        what = f"`{node.name}` goes over a list or a table, not {over.kind}"
        raise Unreadable(node.at, what, "name a list, such as `subject.roles`")
    if over.made:
        raise Unreadable(
            target.at,
            f"`{node.name}` goes only over lists that are read, written out or filtered",
            "put what `map` or `+` does into its body",
        )
    return over


def _variable(checker: Checker, node: nodes.Node) -> str:
    if not isinstance(node, nodes.Name):
        raise Unreadable(node.at, "here stands the name of a variable", "write `each`")
    if node.name in ROOTS or node.name in checker.variables or node.name in RESERVED:
        raise Unreadable(node.at, f"`{node.name}` is taken", "write another name, such as `each`")
    return node.name


_GLOBALS: Mapping[str, _Call] = {
    "cidr": _cidr,
    "double": _conversion("f_double", (INT, DOUBLE, TEXT), DOUBLE, "0.0"),
    "duration": _duration,
    "has": _has,
    "int": _conversion("f_int", (INT, DOUBLE, TEXT), INT, "0"),
    "size": _size,
    "string": _conversion("f_string", (INT, TEXT), TEXT, '""'),
    "timestamp": _timestamp,
}

_METHODS: Mapping[str, _Call] = {
    "contains": _in_text,
    "containsIP": _contains_ip,
    "endsWith": _in_text,
    "matches": _matches,
    "size": _size,
    "startsWith": _in_text,
    **dict.fromkeys(functions.GETTERS, _getter),
}
