"""`authz audit`: every route of an app, the rule that decides it, who may call it, and the gaps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

import click

from authz_middleware.cli.targets import Target, find_target
from authz_middleware.facts import RuleRef
from authz_middleware.policy.binding import OTHER, Binding, Decided, Gap
from authz_middleware.policy.routes import Resolved, Route
from authz_middleware.policy.rules import is_public
from authz_middleware.policy.words import BY_CLIENT, is_closed, who

__all__ = ["audit"]

GAPS: Final = 1
"""The exit code where policy and app miss each other."""

State: TypeAlias = Literal["open", "guarded", "closed", "uncovered", "ambiguous", "opaque"]
Look: TypeAlias = Literal["path", "path, router", "path, inside"]

_COLOURS: Final[Mapping[str, str]] = {
    "open": "yellow",
    "guarded": "green",
    "closed": "blue",
    "uncovered": "red",
    "ambiguous": "red",
    "opaque": "red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """Paths of one route that are decided alike; `example` is one where they are not all."""

    route: str
    methods: tuple[str, ...]
    endpoint: str
    kind: str
    host: str
    looks: Look
    example: str
    rules: tuple[str, ...]  # as written, with file:line:column
    who: str
    state: State


@dataclass(frozen=True, slots=True)
class Difference:
    """A path for which the app's router takes another route than the most specific one."""

    method: str
    path: str
    expected: str
    taken: str
    also: tuple[str, ...]  # the rules that it must meet beside that of its path


@click.command(short_help="Lay the policy against an app's routes.")
@click.argument("app", metavar="MODULE:APP")
@click.option("--policy", metavar="FILE", help="Lay this policy against APP, which has no guard.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def audit(app: str, policy: str | None, *, as_json: bool) -> None:
    """Print which rule decides each route of an app, who may call it, and what is missed.

    Ends with 1 where policy and app miss each other, with 2 where APP or its policy cannot be
    loaded.
    """
    target = find_target(app, policy)
    serving = target.authz.serving
    binding = target.guarded.laid(serving)
    rows = [*_rows(binding, resolves=target.guarded.resolves)]
    differences = [*_differences(binding, target)]
    by_client = serving.settings.policy.by_client
    if as_json:
        document = {
            "routes": [asdict(row) for row in rows],
            "differences": [asdict(each) for each in differences],
            "gaps": [asdict(gap) for gap in binding.gaps],
            "by_client": [str(ref) for ref in by_client],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        _print(rows, differences, binding.gaps, by_client)
    raise SystemExit(GAPS if binding.gaps else 0)


def _rows(binding: Binding, *, resolves: bool) -> Iterator[Row]:
    by_route: dict[int, list[Decided]] = {}
    for each in binding.decided:
        if each.expected:
            by_route.setdefault(id(each.route), []).append(each)
    for found in sorted(by_route.values(), key=lambda few: few[0].route.text):
        alike: dict[tuple[State, tuple[int, ...]], list[Decided]] = {}
        for each in found:
            asked = tuple(id(one.origin) for one in each.requirements or ())
            alike.setdefault((_state(binding, each), asked), []).append(each)
        for (state, _), few in alike.items():
            yield _row(few, state, alone=_alone(few, found), resolves=resolves)


def _alone(few: list[Decided], found: list[Decided]) -> bool:
    """Whether every path of the route is decided so, for the methods of `few`."""
    methods = {each.method for each in few}
    paths = {each.path for each in found if each.method in methods}
    return {each.path for each in few} == paths


def _row(few: list[Decided], state: State, *, alone: bool, resolves: bool) -> Row:
    route, requirements = few[0].route, few[0].requirements
    methods = tuple(sorted({each.method for each in few}, key=lambda name: (name == OTHER, name)))
    return Row(
        route.text,
        methods,
        route.endpoint,
        route.kind,
        route.host,
        _looks(route, resolves=resolves),
        "" if alone else min((each.path for each in few), key=len),
        tuple(str(each.ref) for each in requirements or ()),
        "nobody" if requirements is None else who(requirements),
        state,
    )


def _looks(route: Route, *, resolves: bool) -> Look:
    if route.guarded_inside:
        return "path, inside"
    return "path, router" if resolves and route.kind != "opaque" else "path"


def _state(binding: Binding, decided: Decided) -> State:
    requirements = decided.requirements
    if requirements is None:
        return "ambiguous"
    if decided.route.kind == "opaque":
        return "opaque"
    automatic = decided.method in decided.route.automatic
    if not binding.covers(decided) and not automatic:
        return "uncovered"
    if any(map(is_closed, requirements)):
        return "closed"
    return "open" if is_public(requirements) else "guarded"


def _differences(binding: Binding, target: Target) -> Iterator[Difference]:
    """Ask the app's router about each path that stands for others."""
    by_taken = {route.taken: route for route in binding.table.routes}
    for each in binding.decided:
        if not each.expected or each.route.host or each.method == OTHER or not each.requirements:
            continue
        taken = target.guarded.resolve(request(each.method, each.path))
        if isinstance(taken, Resolved) or taken == each.route.taken or taken not in by_taken:
            continue
        also = binding.also(taken, each.method, each.path, each.requirements) or ()
        yield Difference(
            each.method,
            each.path,
            each.route.text,
            by_taken[taken].text,
            tuple(str(requirement.ref) for requirement in also),
        )


def request(method: str, path: str) -> dict[str, Any]:
    """Return a request as both worlds have it, scope and environ in one."""
    websocket = method == "WS"
    return {
        "type": "websocket" if websocket else "http",
        "method": "GET" if websocket else method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "scheme": "ws" if websocket else "http",
        "server": ("localhost", 80),
        "http_version": "1.1",
        "REQUEST_METHOD": "GET" if websocket else method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "HTTP_HOST": "localhost",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
    }


# --- For people ---


def _print(
    rows: list[Row],
    differences: list[Difference],
    gaps: Iterable[Gap],
    by_client: Iterable[RuleRef],
) -> None:
    table = [("METHODS", "ROUTE", "RULE", "WHO", "LOOKS", "STATE")]
    for row in rows:
        path = f"{row.route} (as {row.example})" if row.example else row.route
        rules = " and ".join(row.rules)
        table.append((_methods(row.methods), row.host + path, rules, row.who, row.looks, row.state))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, line in enumerate(table):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        if number == 0:
            click.secho("  ".join(cells).rstrip(), bold=True)
        else:
            state = click.style(line[-1], fg=_COLOURS[line[-1]])
            click.echo("  ".join([*cells[:-1], state]))
    for each in differences:
        text = f"{each.method} {each.path} is taken by {each.taken}, not by {each.expected}"
        also = f"; it must also meet {' and '.join(each.also)}" if each.also else ""
        click.secho(f"differs: {text}{also}", fg="yellow")
    for ref in by_client:
        click.secho(f"by the client: {ref} {BY_CLIENT}", fg="yellow")
    for gap in gaps:
        click.secho(f"{gap.kind}: {gap}", fg="red")


def _methods(methods: tuple[str, ...]) -> str:
    shown = (method for method in methods if method != "HEAD" or "GET" not in methods)
    return "|".join("others" if method == OTHER else method for method in shown)
