"""The rules of DESIGN section 3 once more, as naively as possible: every rule, one after another.

It shares nothing with the package: own templates, own ranking, own closure. `routes` maps
`(method or "", template)` to a requirement; templates are tuples of segments, with `<int>`, `<p>`
and a last `**`.
"""

from __future__ import annotations

RANK = {"<int>": 2, "<p>": 3, "**": 5}


def fits(template, path):
    """Whether the template matches, and whether every segment is one for certain."""
    tail = template[-1:] == ("**",)
    fixed = template[:-1] if tail else template
    if len(path) < len(fixed) or (len(path) > len(fixed) and not tail):
        return False, False
    pairs = list(zip(fixed, path, strict=False))
    matches = all(
        want in ("<p>", has) or (want == "<int>" and has.lstrip("+").isdigit())
        for want, has in pairs
    )
    return matches, all(has.isdigit() for want, has in pairs if want == "<int>")


def closure(roles, held):
    """The held roles that are known, and all that they inherit: until nothing is added."""
    known = {role for role in held if role in roles}
    while more := {up for role in known for up in roles[role][1]} - known:
        known |= more
    return known


def answer(routes, roles, method, path, caller):
    """Return "ambiguous", "public", or whether the caller may."""
    matching = [template for _, template in routes if fits(template, path)[0]]
    if not matching:
        return False
    best = min(matching, key=lambda template: [RANK.get(segment, 0) for segment in template])
    if not fits(best, path)[1]:
        return "ambiguous"
    listed = (method, "GET" if method == "HEAD" else method, "")
    rule = next((routes[m, best] for m in listed if (m, best) in routes), "deny")
    if isinstance(rule, str):
        return {"public": "public", "deny": False, "authenticated": True}[rule]
    held = closure(roles, caller["roles"])
    patterns = [text for role in held for text in roles[role][0]]
    return (
        (not rule.get("roles") or any(role in held for role in rule["roles"]))
        and all(
            p in caller["permissions"]
            or any(p == t or (t[-1:] == "*" and p[: len(t) - 1] == t[:-1]) for t in patterns)
            for p in rule.get("permissions", ())
        )
        and (not rule.get("issuers") or caller["issuer"] in rule["issuers"])
        and all(scope in caller["scopes"] for scope in rule.get("scopes", ()))
    )
