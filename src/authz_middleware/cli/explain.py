"""`authz explain`: one decision as a tree, down to what each part of a rule found."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

import click

from authz_middleware.analysis import explaining
from authz_middleware.analysis.explaining import Caller, Explained, Step
from authz_middleware.analysis.log_lines import Recorded, find_recorded
from authz_middleware.cli.policies import FILE, Mistake, compiled
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.document import Document
from authz_middleware.facts import RuleRef
from authz_middleware.policy.resources import Loaded, Unloaded
from authz_middleware.policy.words import printable
from authz_middleware.runtime.settings import Settings
from authz_middleware.tokens import strict_json
from authz_middleware.tokens.rejection import Rejected

__all__ = ["explain"]

REFUSED: Final = 1
"""The exit code where the request is refused."""

_COLOURS: Final[Mapping[str, str]] = {
    "ok": "green",
    "met": "green",
    "no": "red",
    "not met": "red",
    "error": "red",
    "unchecked": "yellow",
}


@click.command(short_help="Say why a request is let in or refused.")
@click.argument("method", required=False)
@click.argument("path", required=False)
@click.option("--policy", type=FILE, help="The policy; by default as for `authz check`.")
@click.option("--as", "roles", multiple=True, metavar="ROLE", help="Ask for a caller with this.")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="... and with this.")
@click.option(
    "--permission", "permissions", multiple=True, metavar="NAME", help="... and with this."
)
@click.option("--claims", metavar="JSON", help="Ask for a token with these claims: - or @FILE too.")
@click.option("--token", metavar="TOKEN", help="Ask for this token; better `-` or @FILE.")
@click.option(
    "--resource", metavar="JSON", help="Take this for what a loader finds; null is no object."
)
@click.option("--id", "id", metavar="ID", help="Explain the decision with this id.")
@click.option("--log", type=FILE, help="The log in which it stands; `-` is standard input.")
@json_option
def explain(
    method: str | None,
    path: str | None,
    policy: str | None,
    roles: tuple[str, ...],
    scopes: tuple[str, ...],
    permissions: tuple[str, ...],
    claims: str | None,
    token: str | None,
    resource: str | None,
    id: str | None,
    log: str | None,
    *,
    as_json: bool,
) -> None:
    """Explain what the policy says to METHOD PATH, as a tree: steps, rules, what each part found.

    Who asks is anonymous, or a role (--as), claims, or a token. Nothing is fetched: where the keys
    of an issuer would have to be, the signature is not checked, and that is said. The token is
    never printed. METHOD is WS for a WebSocket handshake.

    No loader is asked: what it would find is said with --resource.

    With --id and --log it is the request of a decision that was logged, laid against the policy.
    FILE is a log, of lines or of JSON, or what a DecisionRecorder wrote: that knows the caller and
    the time too, and is taken at its word.

    Ends with 0 if the request is let in, with 1 if it is refused, with 2 if that cannot be told.

    \b
    Examples:
      authz explain PUT /articles/1 --as editor --scope write
      authz explain GET /me --token - < token.txt
      authz explain GET /orders/2 --as customer --resource '{"owner": "ben"}'
      authz explain --id 6c1f7a --log decisions.jsonl
    """
    recorded = _recorded(id, log) if id or log else None
    if recorded is not None:
        method, path = method or recorded.method, path or recorded.path
        if path is None:
            raise Mistake(f"{recorded.reason}: of that request no path was logged")
    if method is None or path is None:
        raise click.UsageError("name METHOD and PATH, or --id and --log")
    document, settings = compiled(policy)
    record = recorded and recorded.record
    now = record.at if record is not None and record.at is not None else time.time()
    named = any((roles, scopes, permissions, claims is not None, token is not None))
    if record is not None and not named:
        caller = explaining.by_record(settings, record)
    else:
        caller = _caller(settings, now, (roles, scopes, permissions), claims, token)
    found = explaining.explain(settings, method.upper(), path, caller, now, _resource(resource))
    if as_json:
        print_json(_json(found, recorded))
    else:
        _print(f"{method.upper()} {path}", found, recorded, document)
    raise SystemExit(0 if found.decision.allowed else REFUSED)


def _recorded(id: str | None, log: str | None) -> Recorded:
    if not id or not log:
        raise click.UsageError("--id and --log belong together")
    try:
        with click.open_file(log, encoding="utf-8", errors="replace") as lines:
            found = find_recorded(lines, id)
    except OSError as error:
        raise Mistake(f"{log} cannot be read: {error.strerror}") from error
    if found is None:
        raise Mistake(f"no decision with the id {id} is in {log}")
    return found


def _caller(
    settings: Settings,
    now: float,
    assumed: tuple[tuple[str, ...], ...],
    claims: str | None,
    token: str | None,
) -> Caller:
    if sum((any(assumed), claims is not None, token is not None)) > 1:
        raise click.UsageError("give one of --as (with --scope, --permission), --claims, --token")
    if token is not None:
        return explaining.by_token(settings, _text(token, "--token").strip(), now)
    if claims is not None:
        return explaining.by_claims(settings, _object(_text(claims, "--claims")), now)
    if any(assumed):
        roles, declared = assumed[0], settings.policy.roles.declared
        for role in roles:
            # A misspelt role would be refused for the wrong reason.
            if declared is not None and role not in declared:
                known = ", ".join(sorted(declared)) or "none"
                raise Mistake(f"role `{role}` is not defined in [roles], which has: {known}")
        return explaining.by_roles(settings, *assumed)
    return explaining.ANONYMOUS


def _text(given: str, option: str) -> str:
    """Return what an option holds: the text itself, what stands in @FILE, or standard input."""
    try:
        if given == "-":
            return sys.stdin.read()
        return Path(given[1:]).read_text("utf-8") if given.startswith("@") else given
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8"
        raise Mistake(f"what {option} names cannot be read: {what}") from None


def _object(text: str) -> Mapping[str, Any]:
    value = _parsed(text)
    if not isinstance(value, dict):
        raise Mistake('--claims is a JSON object, such as {"sub": "ann", "roles": ["viewer"]}')
    return cast("dict[str, Any]", value)


def _resource(given: str | None) -> Loaded | None:
    if given is None:
        return None
    text = _text(given, "--resource")
    if text.strip() == "null":
        return Unloaded.MISSING
    value = _parsed(text)
    if not isinstance(value, dict):
        raise Mistake('--resource is a JSON object, such as {"owner": "ann"}, or null')
    return cast("dict[str, Any]", value)


def _parsed(text: str) -> object:
    try:
        return strict_json.loads(text.encode())
    except (Rejected, UnicodeEncodeError):
        return None


def _json(found: Explained, recorded: Recorded | None) -> dict[str, Any]:
    decision = asdict(found.decision)
    del decision["findings"]  # those of all rules stand by themselves
    return {
        "decision": decision,
        "steps": [step._asdict() for step in found.steps],
        "rules": [asdict(rule) for rule in found.rules],
        "recorded": recorded
        and {
            **recorded._asdict(),
            "record": recorded.record and asdict(recorded.record),
        },
    }


# --- For people ---


def _print(request: str, found: Explained, recorded: Recorded | None, document: Document) -> None:
    click.secho(printable(request), bold=True)
    if recorded is not None:
        came = "allowed" if recorded.allowed else "refused"
        said = printable(f"{recorded.reason} {recorded.said}".rstrip())
        click.echo(f"  logged     {came}, {said}")
    for step in found.steps:
        _print_step(step)
    decision = found.decision
    if decision.allowed:
        click.secho(printable(f"allowed by {decision.rule}"), fg="green", bold=True)
    else:
        by = f" by {decision.rule}" if decision.rule else ""
        click.secho(printable(f"refused: {decision.reason}{by}"), fg="red", bold=True)
    unloaded = (decision.reason, decision.detail) == ("resource_unavailable", "not_asked")
    for label, text in (
        ("because", decision.nearest_miss),
        ("detail", decision.detail),
        ("say", "what the loader would find, with --resource" if unloaded else ""),
    ):
        if text:
            click.echo(f"  {label:9}  {printable(text)}")
    for rule in found.rules:
        outcome = click.style(rule.outcome, fg=_COLOURS[rule.outcome])
        click.echo(f"{printable(str(rule.ref))}: {outcome}")
        if line := _source(rule.ref, document):
            click.secho(f"  | {printable(line)}", dim=True)
        for text in rule.finding.lines(1) if rule.finding else ():
            click.echo(_coloured(printable(text)))


def _print_step(step: Step) -> None:
    came = click.style(f"{step.came:9}", fg=_COLOURS[step.came])
    click.echo(f"  {came}  {step.name:9}  {printable(step.said)}")


def _coloured(line: str) -> str:
    outcome, colon, rest = line.partition(":")
    return click.style(outcome, fg=_COLOURS[outcome.strip()]) + colon + rest


def _source(ref: RuleRef, document: Document) -> str:
    """Return the line of the policy in which a rule stands."""
    for part in document.parts:
        if ref.where.startswith(f"{part.source}:"):
            number = ref.where.removeprefix(f"{part.source}:").partition(":")[0]
            lines: Iterable[str] = part.text.splitlines()
            return next((text.strip() for at, text in enumerate(lines, 1) if str(at) == number), "")
    return ""
