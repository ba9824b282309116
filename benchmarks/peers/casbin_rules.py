"""pycasbin's `enforce` over the same rules. It checks no token: that would come on top."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import casbin

from benchmarks.material import policy
from benchmarks.peers import PATH, ROLE, Wrong
from benchmarks.timing import Batch

__all__ = ["NAME", "PACKAGE", "batch"]

NAME = "pycasbin enforce (no token check)"
PACKAGE = "casbin"

# The model of its manual for REST: roles, paths by keyMatch2, methods.
MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act
"""


def batch(rules: int) -> Batch:
    """Ask for the request that the peers get, under a policy of so many rules."""
    enforce = _enforcer(rules)
    asked = (("GET", ROLE, True), ("DELETE", ROLE, False), ("GET", "nobody", False))
    for method, role, allowed in asked:
        if enforce(role, PATH, method) is not allowed:
            raise Wrong(f"{NAME}: {role} {method} should be {allowed}")

    def many(calls: int) -> float:
        began = process_time()
        for _ in range(calls):
            enforce(ROLE, PATH, "GET")
        return process_time() - began

    return many


def _enforcer(rules: int) -> Callable[[str, str, str], bool]:
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    enforcer = casbin.Enforcer(model)
    for key, roles in policy([], rules)["routes"].items():
        method, _, path = key.partition(" ")
        enforcer.add_policy(roles[0], path.replace("<int:id>", ":id"), method)
    enforcer.add_grouping_policy("editor", "viewer")
    found: Callable[[str, str, str], bool] = enforcer.enforce
    return found
