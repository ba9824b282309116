"""Tokens to the syntax tree: recursive descent over the grammar of CEL's language definition.

The tree that comes out is the one that is checked, and the one that the evaluator is given again
as text: nobody else reads what the author wrote. Its height is bounded, as the evaluator would
otherwise run out of stack, which ends the process.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

from authz_middleware.policy.conditions import nodes
from authz_middleware.policy.conditions.faults import Unreadable
from authz_middleware.policy.conditions.lexing import INT_MAX, INT_MIN, RESERVED, Token, tokens

__all__ = ["MAX_HEIGHT", "MAX_LENGTH", "parse"]

MAX_LENGTH = 4096
"""Characters that a condition may have."""

MAX_HEIGHT = 16
"""How deep operators, calls and brackets may be nested. A thread with a stack of 256 KiB, the
smallest in use, bears twenty in the evaluator."""

_NodeT = TypeVar("_NodeT", bound=nodes.Node)
_RELATIONS = frozenset(("<", "<=", ">", ">=", "==", "!="))
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse(text: str) -> nodes.Node:
    """The tree of a condition. Raises Unreadable at the first place that cannot be read."""
    if len(text) > MAX_LENGTH:
        what = f"a condition is longer than {MAX_LENGTH} characters"
        raise Unreadable(MAX_LENGTH, what, "write it as several, or keep the data elsewhere")
    return _Parser(tokens(text)).condition()


class _Parser:
    __slots__ = ("_depth", "_heights", "_next", "_tokens")

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._next = 0
        self._depth = 0
        self._heights: dict[int, int] = {}  # by id: every node made is part of the tree

    def condition(self) -> nodes.Node:
        node = self._expression()
        if self._token.kind != "end":
            wanted = "the end, or an operator such as `&&`"
            raise self._unexpected(
                wanted, "join both with `&&` or `||`, or remove what is too much"
            )
        return node

    # expr = conditionalOr ["?" conditionalOr ":" expr]

    def _expression(self) -> nodes.Node:
        self._depth += 1
        if self._depth > MAX_HEIGHT:
            raise _too_deep(self._token.at)
        node = self._logic("||")
        if self._token.text == "?" and self._token.kind == "mark":
            at = self._take("?").at
            yes = self._logic("||")
            self._take(":")
            no = self._expression()
            node = self._made(nodes.Ternary(at, node, yes, no), node, yes, no)
        self._depth -= 1
        return node

    def _logic(self, operator: Literal["||", "&&"]) -> nodes.Node:
        at = self._token.at
        parts = [self._side(operator)]
        while self._taken(operator):
            parts.append(self._side(operator))
        if len(parts) == 1:
            return parts[0]
        return self._made(nodes.Logic(at, operator, tuple(parts)), *parts)

    def _side(self, operator: Literal["||", "&&"]) -> nodes.Node:
        return self._logic("&&") if operator == "||" else self._relation()

    def _relation(self) -> nodes.Node:
        node = self._sum()
        while ((token := self._token).kind == "mark" and token.text in _RELATIONS) or _is_in(token):
            self._next += 1
            right = self._sum()
            node = self._made(nodes.Binary(token.at, token.text, node, right), node, right)
        return node

    def _sum(self) -> nodes.Node:
        node = self._product()
        while (token := self._token).kind == "mark" and token.text in "+-":
            self._next += 1
            right = self._product()
            node = self._made(nodes.Binary(token.at, token.text, node, right), node, right)
        return node

    def _product(self) -> nodes.Node:
        node = self._unary()
        while (token := self._token).kind == "mark" and token.text in "*/%":
            self._next += 1
            right = self._unary()
            node = self._made(nodes.Binary(token.at, token.text, node, right), node, right)
        return node

    # unary = member | "!" {"!"} member | "-" {"-"} member

    def _unary(self) -> nodes.Node:
        token = self._token
        if token.kind != "mark" or token.text not in "!-":
            return self._member()
        signs: list[Token] = []
        while self._token.kind == "mark" and self._token.text == token.text:
            signs.append(self._take(token.text))
        # The sign of a number belongs to it (CEL: the literal has it), as in `!-1` and `--1`.
        negative = token.text == "-" and self._token.kind in ("int", "double")
        if negative:
            signs.pop()
        elif token.text == "!" and self._taken("-"):
            negative = True
            if self._token.kind not in ("int", "double"):
                raise self._unexpected("a number")
        node = self._member(negative=negative)
        operator = cast("Literal['!', '-']", token.text)
        for sign in reversed(signs):
            node = self._made(nodes.Unary(sign.at, operator, node), node)
        return node

    def _member(self, *, negative: bool = False) -> nodes.Node:
        node = self._primary(negative=negative)
        while True:
            if self._taken("."):
                node = self._dotted(node)
            elif self._taken("["):
                if self._token.text == "?" and self._token.kind == "mark":
                    raise _optional(self._token.at)
                index = self._expression()
                self._take("]")
                node = self._made(nodes.Index(index.at, node, index), node, index)
            elif isinstance(node, nodes.Name | nodes.Select) and self._taken("{"):
                raise Unreadable(node.at, "messages are not supported", 'write `{"name": value}`')
            else:
                return node

    def _dotted(self, target: nodes.Node) -> nodes.Node:
        token = self._token
        if token.kind == "mark" and token.text == "?":
            raise _optional(token.at)
        name = self._name("the name of an attribute or of a function", reserved=True)
        if not self._taken("("):
            return self._made(nodes.Select(token.at, target, name), target)
        arguments = self._arguments()
        return self._made(nodes.Call(token.at, target, name, arguments), target, *arguments)

    def _primary(self, *, negative: bool) -> nodes.Node:
        token = self._token
        match token.kind:
            case "int":
                self._next += 1
                return self._made(nodes.Literal(token.at, _whole_number(token, negative)))
            case "double":
                self._next += 1
                return self._made(nodes.Literal(token.at, _number(token, negative)))
            case "text":
                self._next += 1
                return self._made(nodes.Literal(token.at, token.text, token.inside))
            case "name":
                return self._named(token)
            case _:
                return self._bracketed(token)

    def _named(self, token: Token) -> nodes.Node:
        if token.text in _WORDS:
            self._next += 1
            return self._made(nodes.Literal(token.at, _WORDS[token.text]))
        name = self._name("a value")
        if self._taken("("):
            arguments = self._arguments()
            return self._made(nodes.Call(token.at, None, name, arguments), *arguments)
        return self._made(nodes.Name(token.at, name))

    def _bracketed(self, token: Token) -> nodes.Node:
        if self._taken("("):
            node = self._expression()
            self._take(")")
            return node
        if self._taken("["):
            items: list[nodes.Node] = []
            while not self._taken("]"):
                items.append(self._expression())
                self._separator("]")
            return self._made(nodes.ListOf(token.at, tuple(items)), *items)
        if self._taken("{"):
            entries: list[tuple[nodes.Node, nodes.Node]] = []
            while not self._taken("}"):
                key = self._expression()
                self._take(":")
                entries.append((key, self._expression()))
                self._separator("}")
            inside = [node for entry in entries for node in entry]
            return self._made(nodes.MapOf(token.at, tuple(entries)), *inside)
        if token.kind == "mark" and token.text == "?":
            raise _optional(token.at)
        raise self._unexpected("a value")

    def _separator(self, closing: str) -> None:
        """A comma, or else the closing bracket comes next; a last comma may stand before it."""
        if not self._taken(",") and not (
            self._token.kind == "mark" and self._token.text == closing
        ):
            raise self._unexpected(f"`,` or `{closing}`")

    def _arguments(self) -> tuple[nodes.Node, ...]:
        if self._taken(")"):
            return ()
        arguments = [self._expression()]
        while self._taken(","):
            arguments.append(self._expression())
        self._take(")")
        return tuple(arguments)

    # Tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _taken(self, mark: str) -> bool:
        taken = self._token.kind == "mark" and self._token.text == mark
        self._next += taken
        return taken

    def _take(self, mark: str) -> Token:
        token = self._token
        if not self._taken(mark):
            raise self._unexpected(f"`{mark}`")
        return token

    def _name(self, wanted: str, *, reserved: bool = False) -> str:
        """A name. As CEL has it, a word that is reserved is still the name of an attribute."""
        token = self._token
        if token.kind != "name" or token.text in (*_WORDS, "in"):
            raise self._unexpected(wanted)
        if token.text in RESERVED and not reserved:
            raise Unreadable(
                token.at, f"`{token.text}` is a reserved word of CEL", "use another name"
            )
        self._next += 1
        return token.text

    def _unexpected(self, wanted: str, fix: str = "") -> Unreadable:
        token = self._token
        if token.kind == "end":
            return Unreadable(token.at, f"the condition ends where {wanted} should stand", "add it")
        found = "a text" if token.kind == "text" else f"`{token.text}`"
        what = f"here stands {found} instead of {wanted}"
        return Unreadable(token.at, what, fix or f"write {wanted} before it")

    def _made(self, node: _NodeT, *inside: nodes.Node) -> _NodeT:
        below = max((self._heights[id(each)] for each in inside), default=0)
        # The evaluator gets `a && b && c` as pairs: halves of halves.
        own = (len(inside) - 1).bit_length() if isinstance(node, nodes.Logic) else 1
        if below + own > MAX_HEIGHT:
            raise _too_deep(node.at)
        self._heights[id(node)] = below + own
        return node


def _is_in(token: Token) -> bool:
    return token.kind == "name" and token.text == "in"


def _too_deep(at: int) -> Unreadable:
    what = f"the condition is nested deeper than {MAX_HEIGHT}"
    return Unreadable(at, what, "write it flatter: `a && b && c`, `x in [a, b]`")


def _optional(at: int) -> Unreadable:
    return Unreadable(at, "optional values are not supported", "write `has(a.b) && …`")


def _whole_number(token: Token, negative: bool) -> int:
    digits: Any = token.text
    # int() raises beyond some thousand digits; such a number is out of range anyway.
    value = int(digits[:40], 16 if digits.startswith("0x") else 10) if len(digits) <= 40 else None
    if value is not None:
        value = -value if negative else value
        if INT_MIN <= value <= INT_MAX:
            return value
    fix = "write it with a point: `1e19`"
    raise Unreadable(token.at, "a whole number does not fit into 64 bits", fix)


def _number(token: Token, negative: bool) -> float:
    value = float(token.text)
    if value == float("inf"):
        raise Unreadable(token.at, "a number is too large", "write one below `1.8e308`")
    return -value if negative else value
