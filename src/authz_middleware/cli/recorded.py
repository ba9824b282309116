"""`authz replay` and `authz suggest`: what recorded decisions say of a policy."""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from authz_middleware.analysis.records import Flip, Suggestion, read_records
from authz_middleware.analysis.records import replay as replayed
from authz_middleware.analysis.records import suggest as suggested
from authz_middleware.cli.policies import Mistake, compiled, policy_argument
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.cli.progress import Told
from authz_middleware.document import Document
from authz_middleware.observe.record import RecordedDecision, RecordedError
from authz_middleware.policy.words import printable

__all__ = ["replay", "suggest"]

FLIPPED = 1
"""The exit code where something would be decided otherwise, or could be said more narrowly."""

_record = click.argument("record", metavar="RECORD", type=click.Path(allow_dash=True))


@click.command(short_help="Decide what was recorded under another policy.")
@_record
@policy_argument
@json_option
def replay(record: str, policy: str | None, *, as_json: bool) -> None:
    """Decide again, under POLICY, what RECORD holds: what flips, and for whom.

    RECORD is what a DecisionRecorder wrote; - is standard input. What rests on claims, on the
    request's fields or on loaded objects is not recorded, and counted as undecided. Ends with 1
    if anything flips.

    \b
    Example:
      authz replay decisions.jsonl next.toml
    """
    _, settings = compiled(policy)
    found = replayed(_records(record, quiet=as_json), settings, time.time())
    if not found.decided and not found.undecided:  # else nothing would read as nothing that flips
        raise Mistake(f"{record} holds no decision that can be made again")
    if as_json:
        flips = [{**each._asdict(), "decision": asdict(each.decision)} for each in found.flips]
        document = {"decided": found.decided, "undecided": found.undecided, "flips": flips}
        print_json(document)
    else:
        for flip in found.flips:
            click.echo(_flip(flip))
        click.echo(
            f"{found.decided} decided again, {len(found.flips)} kinds of request flip, "
            f"{found.undecided} undecided"
        )
    raise SystemExit(FLIPPED if found.flips else 0)


def _flip(flip: Flip) -> str:
    words = {True: click.style("allowed", fg="green"), False: click.style("refused", fg="red")}
    why = f" ({flip.decision.reason})" if not flip.now else ""
    times = f", {flip.times} times" if flip.times > 1 else ""
    change = f"{words[flip.before]} -> {words[flip.now]}"
    # Both are what a client sent; a line break would forge a line, an escape steer the terminal.
    return f"{change}{why}: {printable(f'{flip.request} for {flip.caller}')}{times}"


@click.command(short_help="Show rights that nobody used.")
@_record
@policy_argument
@json_option
def suggest(record: str, policy: str | None, *, as_json: bool) -> None:
    """Show the narrowest roles that would have let in every caller of RECORD, as a diff of POLICY.

    It looks at rules that ask for one of several roles. A right that nobody used in the time that
    was recorded may be needed tomorrow: this is for review. Ends with 1 if there is a suggestion.

    \b
    Example:
      authz suggest decisions.jsonl authz.toml
    """
    document, settings = compiled(policy)
    found = suggested(_records(record, quiet=as_json), settings)
    if as_json:
        print_json([each._asdict() for each in found])
    else:
        for line in _rewritten_parts(document, found):
            click.echo("\t".join(map(printable, line.rstrip("\n").split("\t"))))
        for each in found:
            used = f"used by {', '.join(each.used)}" if each.used else "used by nobody"
            said = f"{each.where}: {each.rule}: for {', '.join(each.written)}; {used}"
            click.echo(printable(said))
        if not found:
            click.secho("every right was used", fg="green")
    raise SystemExit(FLIPPED if found else 0)


def _rewritten_parts(document: Document, found: Sequence[Suggestion]) -> Iterator[str]:
    """The diff of each file of the policy in TOML, in which a rule of roles is one line."""
    for part in document.parts:
        if part.suffix != ".toml":
            continue
        changed = {_place(each, part.source): each for each in found}
        lines = part.text.splitlines(keepends=True)
        after = [
            _rewritten(line, changed[number]) if number in changed else line
            for number, line in enumerate(lines, start=1)
        ]
        yield from difflib.unified_diff(lines, after, part.source, part.source, n=1)


# A rule of roles on a line of its own, with what stands around the list.
_RULE = re.compile(r"""(\s*(?:"[^"]*"|'[^']*')\s*=\s*)\[[^\[\]#]*\](\s*(?:\#.*)?\n?)""")


def _rewritten(line: str, found: Suggestion) -> str:
    """The line with the roles that were used; as it is where it says anything else."""
    match = _RULE.fullmatch(line)
    if match is None:
        return line
    return f"{match[1]}{json.dumps(list(found.used) or 'deny', ensure_ascii=False)}{match[2]}"


def _place(found: Suggestion, source: str) -> int:
    """The line of the rule in the file `source`, 0 if it is in another or that is not known."""
    file, _, line = found.where.rpartition(":")[0].rpartition(":")
    return int(line) if file == source and line.isdecimal() else 0


def _records(file: str, *, quiet: bool) -> Iterator[RecordedDecision]:
    told = Told("records", quiet=quiet)
    record = None
    try:
        with click.open_file(file, encoding="utf-8", errors="replace") as lines:
            for record in read_records(told(lines)):
                yield record
    except RecordedError as error:
        raise Mistake(f"{file}, {error}") from None
    except OSError as error:
        raise Mistake(f"{file} cannot be read: {error.strerror}") from error
    if record is None:  # else rights would read as nobody's
        raise Mistake(f"{file} holds no decision; record some with a DecisionRecorder")
