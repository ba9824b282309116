"""Many rules: whether matching, loading and memory keep to the number of them."""

from __future__ import annotations

import random
import tempfile
import tracemalloc
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

from authz_middleware import Authz
from authz_middleware.policy.canonical import readings
from benchmarks.figures import Bar, Figure, Group
from benchmarks.material import policy, signer
from benchmarks.peers import Wrong
from benchmarks.plan import Plan
from benchmarks.prototype import Prototype
from benchmarks.timing import Batch, interleaved

__all__ = ["rules"]

MICRO = 1e6
FEW = 10
ASKED = 1_000
TIMES_FEW = Bar("at most", 1.2)
AS_HAND = Bar("at most", 1.2)
LOADED = Bar("at most", 2.0)
LOADS = 3


def rules(plan: Plan) -> Group:
    """Measure a policy of few rules and one of many."""
    many = plan.many_rules
    mapping = policy([signer("RS256").issuer], many)
    few_mapping = policy([signer("RS256").issuer], FEW)
    runs = interleaved(
        {
            "few": _matching(few_mapping, FEW),
            "many": _matching(mapping, many),
            "many, asked for few": _matching(mapping, FEW),
            "prototype, few": _matching_by_hand(few_mapping, FEW),
            "prototype, many": _matching_by_hand(mapping, many),
        },
        plan.rounds,
        seconds=plan.batch,
    )
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as folder:
        file = Path(folder, "authz.toml")
        file.write_text(_toml(mapping), encoding="utf-8")
        loads = interleaved(
            {
                "file": partial(_loading, partial(Authz.from_file, file)),
                "mapping": partial(_loading, partial(Authz.from_mapping, mapping)),
            },
            LOADS if plan.judged else 1,
        )
    grown = runs.ratio("many", "few")
    by_hand = runs.ratio("prototype, many", "prototype, few")
    return Group(
        "rules",
        f"Many rules: {many:,} beside {FEW}",
        [
            Figure(f"match a path, {FEW} rules", runs.median("few") * MICRO, "µs"),
            Figure(f"match a path, {many:,} rules", runs.median("many") * MICRO, "µs"),
            Figure(
                f"{many:,} rules ÷ {FEW}, the same paths asked for",
                runs.ratio("many, asked for few", "few"),
                "x",
                TIMES_FEW,
            ),
            Figure(f"{many:,} rules ÷ {FEW}, paths of all rules asked for", grown, "x"),
            Figure(
                f"prototype: {many:,} rules ÷ {FEW}, paths of all rules asked for", by_hand, "x"
            ),
            Figure(
                "paths of all rules: ours grows ÷ prototype grows", grown / by_hand, "x", AS_HAND
            ),
            Figure(f"load {many:,} rules from TOML", loads.median("file"), "s", LOADED),
            Figure(f"load {many:,} rules from a mapping", loads.median("mapping"), "s"),
            Figure("memory of one rule", _memory(few_mapping, mapping, many - FEW), "B"),
        ],
        [
            (
                f"Matching is the path's canonical form and the look-up of its rule. {ASKED:,}"
                " paths are asked for: of the same few resources in both policies, or spread"
                " at random over all rules. The latter come from memory that the processor's"
                " cache does not hold, whoever looks: there the bar is on the growth of ours"
                " beside that of the prototype."
            ),
        ],
    )


def _matching(mapping: Mapping[str, Any], number: int) -> Batch:
    """Ask for paths of the first `number` rules."""
    compiled = Authz.from_mapping(mapping).serving.settings.policy
    asked = _paths(list(mapping["routes"])[:number])
    for path in asked:
        found = compiled.find("GET", readings(path, ""))
        if not found or found[0].kind != "table":
            raise Wrong(f"no rule of {number} is found for {path}")

    def many(calls: int) -> float:
        turns = [asked[each % len(asked)] for each in range(calls)]
        find = compiled.find
        began = process_time()
        for path in turns:
            find("GET", readings(path, ""))
        return process_time() - began

    return many


def _matching_by_hand(mapping: Mapping[str, Any], number: int) -> Batch:
    prototype = Prototype(mapping["routes"])
    asked = _paths(list(mapping["routes"])[:number])

    def many(calls: int) -> float:
        turns = [asked[each % len(asked)] for each in range(calls)]
        find = prototype.roles
        began = process_time()
        for path in turns:
            find("GET", path)
        return process_time() - began

    return many


def _paths(keys: Sequence[str]) -> list[str]:
    order = random.Random(len(keys))
    numbers = (order.randrange(100_000) for _ in range(ASKED))
    # Of both templates of a resource as many, whatever the number of resources.
    chosen = [
        keys[order.randrange(len(keys) // 4) * 4 + each % 2].partition(" ")[2]
        for each in range(ASKED)
    ]
    return [
        path.replace("<int:id>", str(number)) for path, number in zip(chosen, numbers, strict=True)
    ]


def _loading(load: partial[Authz], calls: int) -> float:
    began = process_time()
    for _ in range(calls):
        load()
    return process_time() - began


def _memory(few: Mapping[str, Any], many: Mapping[str, Any], more: int) -> float:
    tracemalloc.start()
    try:
        kept = [Authz.from_mapping(few)]
        before = tracemalloc.get_traced_memory()[0]
        kept.append(Authz.from_mapping(many))
        after = tracemalloc.get_traced_memory()[0]
        # What a policy takes that has no rules to speak of must not count for the many.
        kept.append(Authz.from_mapping(few))
        own = tracemalloc.get_traced_memory()[0] - after
    finally:
        tracemalloc.stop()
    return (after - before - own) / more


def _toml(mapping: Mapping[str, Any]) -> str:
    """Write the policy as people do, its key in a file of its own kind left inline."""
    (issuer,) = mapping["issuers"]
    (key,) = issuer["jwks"]["keys"]
    inline = ", ".join(f'{name} = "{value}"' for name, value in key.items())
    lines = [
        f'realm = "{mapping["realm"]}"',
        "[[issuers]]",
        f'issuer = "{issuer["issuer"]}"',
        f"audience = {issuer['audience']}",
        f"algorithms = {issuer['algorithms']}",
        f"jwks = {{ keys = [{{ {inline} }}] }}",
        "[roles]",
        'viewer = ["order:read"]',
        'editor = { inherits = ["viewer"], permissions = ["order:write"] }',
        "[routes]",
        *(f'"{key}" = {roles}' for key, roles in mapping["routes"].items()),
    ]
    return "\n".join(lines).replace("'", '"') + "\n"
