"""`python -m benchmarks`: measure everything in one run, print one table per group.

The exit status is 1 if a bar is missed. `--short` only sees that the benchmarks work, and judges
nothing.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from benchmarks.chart import svg
from benchmarks.figures import Group, missed
from benchmarks.machine import head
from benchmarks.pages import caption, write
from benchmarks.plan import FULL, SHORT, Plan
from benchmarks.report import Report, as_json, as_text, from_json, table, top

__all__ = ["main"]

GROUPS = ("hot", "cold", "rules", "commands", "memory", "contention", "servers", "steps")
"""Each is a module with a function of the same name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="judge nothing, in a few seconds")
    parser.add_argument("--only", metavar="GROUP,...", help=f"some of {', '.join(GROUPS)}")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report there, too")
    parser.add_argument("--svg", metavar="FILE", type=Path, help="write the chart there, too")
    parser.add_argument(
        "--from", dest="source", metavar="FILE", type=Path, help="read a report, measure nothing"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="put the tables and the chart into docs/"
    )
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else GROUPS
    if unknown := set(names) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if options.write_docs and (options.short or options.only):
        parser.error("the documentation shows a whole run: leave out --short and --only")
    if options.source:
        report = from_json(options.source.read_text("utf-8"))
        print(as_text(report), end="")
    else:
        report = measured(names, SHORT if options.short else FULL)
    if options.json:
        options.json.write_text(as_json(report), encoding="utf-8")
    if options.svg:
        options.svg.write_text(svg(report.groups, caption(report)), encoding="utf-8")
    if options.write_docs:
        write(report)
    return 1 if report.judged and missed(report.groups) else 0


def measured(names: Sequence[str], plan: Plan) -> Report:
    """Run the groups one after the other; print each table as soon as it is ready."""
    where = head()
    print(top(where), end="", flush=True)
    groups: list[Group] = []
    for name in names:
        with _quiet():
            groups.append(group(name)(plan))
        print(table(groups[-1], judged=plan.judged), end="", flush=True)
    report = Report(where, plan.judged, groups)
    print(f"\n{report.verdict}")
    return report


@contextmanager
def _quiet() -> Generator[None]:
    """Log no warnings: that the routes of a bare app cannot be seen is a gap, and no news."""
    logger = logging.getLogger("authz_middleware")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def group(name: str) -> Callable[[Plan], Group]:
    """Return what measures a group; only then must the peers be installed that it needs."""
    found: Callable[[Plan], Group] = getattr(import_module(f"benchmarks.{name}"), name)
    return found


if __name__ == "__main__":
    sys.exit(main())
