"""`authz attack`: every odd request that is known against an app, and what got through."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any, Final

import click

from authz_middleware.asgi import ASGIAuthzMiddleware
from authz_middleware.cli.policies import FILE, Mistake
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.cli.progress import Told
from authz_middleware.cli.targets import find_app
from authz_middleware.errors import PolicyError
from authz_middleware.policy.words import printable
from authz_middleware.progress import Progress
from authz_middleware.runtime.authz import Authz
from authz_middleware.testing import AttackReport, Leak
from authz_middleware.testing import attack as attacked
from authz_middleware.testing.attack.driving import is_asgi
from authz_middleware.wsgi import WSGIAuthzMiddleware

__all__ = ["attack"]

FOUND: Final = 1
"""The exit code where something got through, or where nothing can be said."""


@click.command(short_help="Send an app every odd request that is known.")
@click.argument("app", metavar="MODULE:APP")
@click.argument("requests", nargs=-1, metavar="[REQUEST]...")
@click.option("--policy", type=FILE, help="Guard APP, which has no guard, with this policy.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Print N of what got through; all are counted.",
)
@json_option
def attack(
    app: str, requests: tuple[str, ...], policy: str | None, limit: int, *, as_json: bool
) -> None:
    """Send APP every odd request that is known, in process, and print what got through.

    Each REQUEST is a plain one that the policy protects, such as "GET /admin/users"; without a
    method it is GET, and "WS" is a WebSocket handshake. Without any there is one for each key of
    the policy that is not public. Each is written in some 1,300 odd ways, and sent by an anonymous
    caller and by one who holds as much as one can without having the right.

    Handlers run, so that one knows whether they do: give APP a test's data. No token, no network
    and no server is needed.

    Ends with 0 if nothing got through, with 1 if something did, or if a handler could not be told
    from a page that does not exist, so that nothing is known of it; with 2 where APP or its policy
    cannot be loaded.

    \b
    Examples:
      authz attack shop.main:app
      authz attack shop.main:app "GET /admin/users" "DELETE /items/7"
      authz attack "shop.main:create_app()" --policy authz.toml --json
    """
    report = _report(app, requests, policy, Told("attack", quiet=as_json))
    if as_json:
        print_json(_document(report))
    else:
        _print(report, limit)
    raise SystemExit(0 if report.ok else FOUND)


def _report(
    text: str, requests: tuple[str, ...], policy: str | None, progress: Progress
) -> AttackReport:
    app, authz = find_app(text), None
    try:
        if policy is not None:
            authz = Authz.from_file(policy)
            app = (ASGIAuthzMiddleware if is_asgi(app) else WSGIAuthzMiddleware)(app, authz)
        with redirect_stdout(sys.stderr):  # what handlers print is no part of a document
            return attacked(app, requests, authz=authz, progress=progress)
    except PolicyError as error:
        raise Mistake(str(error)) from error
    except ValueError as error:  # it is not guarded, or a request is of no use
        raise Mistake(str(error)) from error


def _document(report: AttackReport) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "sent": report.sent,
        "refused": report.refused,
        "passed": report.passed,
        "leaked": report.leaked,
        "proven": report.proven,
        "unproven": report.unproven,
        "kinds": dict(report.kinds),
        "leaks": [_leak(leak) for leak in report.leaks],
    }


def _leak(leak: Leak) -> dict[str, Any]:
    rule = leak.rule and {"key": leak.rule.key, "where": leak.rule.where}
    return {**asdict(leak), "raw": leak.raw.decode("latin-1"), "rule": rule}


def _print(report: AttackReport, limit: int) -> None:
    for leak in report.leaks[:limit]:
        click.secho("\n".join(map(printable, str(leak).split("\n"))), fg="red")
    if len(report.leaks) > limit:
        click.echo(f"... and {len(report.leaks) - limit:,} more; --limit shows them")
    click.secho(report.summary, fg="green" if report.ok else "red")
