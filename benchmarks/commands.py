"""The commands that read a whole policy, each from a cold start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, cast

import yaml

from benchmarks.figures import Bar, Figure, Group
from benchmarks.peers import Wrong
from benchmarks.plan import Plan

__all__ = ["commands"]

RUNS = 3
IN_TIME = Bar("at most", 2.0)

REVISIONS = ("HEAD~1:authz.toml", "HEAD:authz.toml")
ASKED: Mapping[str, tuple[str, ...]] = {
    "check, TOML": ("check", "old.toml"),
    "check, YAML": ("check", "old.yaml"),
    "matrix, TOML": ("matrix", "old.toml"),
    "matrix, YAML": ("matrix", "old.yaml"),
    "matrix of one role": ("matrix", "old.toml", "--role", "role1"),
    "matrix as JSON": ("matrix", "old.toml", "--json"),
    "matrix as a page": ("matrix", "old.toml", "--html", "matrix.html"),
    "diff, TOML": ("diff", "old.toml", "new.toml", "--fail-on", "never"),
    "diff, YAML": ("diff", "old.yaml", "new.yaml", "--fail-on", "never"),
    "diff, two revisions of git": ("diff", *REVISIONS, "--fail-on", "never"),
}


def commands(plan: Plan) -> Group:
    """Measure `check`, `matrix` and `diff`, each in a process of its own."""
    routes, roles = plan.routes, plan.roles
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as name:
        folder = Path(name)
        for version in ("old", "new"):
            policy = _policy(routes, roles, changed=version == "new")
            (folder / f"{version}.toml").write_text(_toml(policy), "utf-8")
            (folder / f"{version}.yaml").write_text(
                yaml.safe_dump(policy, sort_keys=False), "utf-8"
            )
        with_git = shutil.which("git") is not None
        if with_git:
            _commit(folder)
        figures = [
            Figure(label, _measured(folder, arguments, plan), "s", IN_TIME)
            for label, arguments in ASKED.items()
            if with_git or arguments[1:3] != REVISIONS
        ]
    return Group(
        "commands",
        f"Commands: a policy of {routes:,} routes and {roles} roles",
        figures,
        [
            (
                "CPU time of a whole process, start and imports included, byte code there as after"
                " an installation. Each role inherits the one before it and brings permissions of"
                " its own; every fourth route asks for roles, every second for a permission, and"
                " half of these for a scope and a condition as well, no two of which are equal."
            ),
        ],
    )


def _policy(routes: int, roles: int, *, changed: bool) -> dict[str, Any]:
    """Return a policy; with `changed` every tenth resource is for others, or gone."""
    role_table: dict[str, Any] = {
        f"role{number}": {
            "permissions": [f"thing{number}:read", f"thing{number}:write"],
            "inherits": [f"role{number - 1}"] if number else [],
        }
        for number in range(roles)
    }
    if changed:  # so that no two callers are alike in both
        role_table["auditor"] = {"permissions": ["thing0:read"], "inherits": []}
    route_table: dict[str, Any] = {}
    for number in range(routes // 4):
        thing, role = f"thing{number % roles}", f"role{number % roles}"
        condition = f"resource.params.id == subject.claims.number + {number}"
        path = f"/api/resource{number}"
        if not (changed and number % 20 == 10):
            route_table[f"GET {path}"] = [f"role{number % 7 % roles}" if changed else role]
        route_table[f"GET {path}/<int:id>"] = {"permissions": [f"{thing}:read"]}
        route_table[f"PUT|PATCH {path}/<int:id>"] = {
            "permissions": [f"{thing}:write"],
            "scopes": ["write"],
            "when": condition,
        }
        route_table[f"{path}/admin/**"] = [f"role{roles - 1}"]
    return {
        "issuers": [{"issuer": "https://login.example.com", "audience": ["orders"]}],
        "roles": role_table,
        "routes": route_table,
        "forbid": {
            f"freeze{number}": {"path": f"/api/resource{number}/**", "methods": ["PUT"]}
            for number in range(5)
        },
    }


def _toml(policy: Mapping[str, Any]) -> str:
    """Write a policy as people do: one role, route or entry a line."""
    lines = [f"[[issuers]]\n{_lines(issuer)}" for issuer in policy["issuers"]]
    lines += [f"[{name}]\n{_lines(policy[name])}" for name in ("roles", "routes", "forbid")]
    return "\n".join(lines)


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(key)} = {_inline(value)}\n" for key, value in table.items())


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value).items()
        return f"{{ {', '.join(f'{key} = {_inline(each)}' for key, each in entries)} }}"
    return json.dumps(value)  # texts and lists of texts are written alike


def _commit(folder: Path) -> None:
    git = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.com")
    subprocess.run([*git, "init", "--quiet"], cwd=folder, check=True)
    for version in ("old", "new"):
        shutil.copy(folder / f"{version}.toml", folder / "authz.toml")
        subprocess.run([*git, "add", "authz.toml"], cwd=folder, check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", version], cwd=folder, check=True)


def _measured(folder: Path, arguments: tuple[str, ...], plan: Plan) -> float:
    if plan.judged:
        _run(folder, arguments)  # it writes the byte code
    return median(_run(folder, arguments) for _ in range(RUNS if plan.judged else 1))


def _run(folder: Path, arguments: tuple[str, ...]) -> float:
    """Return the CPU seconds of one command, those of the programs that it ran included."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "authz_middleware.cli", *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Wrong(f"`authz {' '.join(arguments)}` ends with {process.returncode}")
    return usage.ru_utime + usage.ru_stime
