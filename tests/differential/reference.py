"""The rules of DESIGN section 3 once more, as naively as possible: every rule, one after another.

It shares nothing with the package: own templates, own ranking, own closure, own three values.
`routes` maps `(method or "", template)` to a requirement; templates are tuples of segments, with
`<int>`, `<p>` and a last `**`. `forbid` is a list of (method or "", template, table).
"""

from __future__ import annotations

RANK = {"<int>": 2, "<p>": 3, "**": 5}
NOW = 1000


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


def grants(roles, caller, permission):
    """Whether a role brings the permission, or the token carries it."""
    patterns = [text for role in closure(roles, caller["roles"]) for text in roles[role][0]]
    return permission in caller["permissions"] or any(
        permission == text or (text[-1:] == "*" and permission[: len(text) - 1] == text[:-1])
        for text in patterns
    )


def value(rule, roles, caller):
    """Return "met", "not" or "error" for a list of roles or a table."""
    if isinstance(rule, list):
        rule = {"roles": rule}
    held = closure(roles, caller["roles"])
    found = []
    for key, want in rule.items():
        if key == "roles":
            found.append("met" if any(role in held for role in want) else "not")
        elif key == "permissions":
            found.append("met" if all(grants(roles, caller, each) for each in want) else "not")
        elif key == "issuers":
            found.append("met" if caller["issuer"] in want else "not")
        elif key == "scopes":
            found.append("met" if all(each in caller["scopes"] for each in want) else "not")
        elif key == "acr":
            has = caller["claims"].get("acr")
            found.append("error" if has is None else "met" if has in want else "not")
        elif key == "max_age":
            at = caller["claims"].get("auth_time", NOW + 1)
            found.append("error" if at > NOW else "met" if NOW - at <= want else "not")
        elif key == "all":
            found.append(lowest([value(part, roles, caller) for part in want]))
        elif key == "any":
            found.append(highest([value(part, roles, caller) for part in want]))
        elif key == "not":
            inner = value(want, roles, caller)
            found.append({"met": "not", "not": "met", "error": "error"}[inner])
    return lowest(found)


def lowest(values):
    return "not" if "not" in values else "error" if "error" in values else "met"


def highest(values):
    return "met" if "met" in values else "error" if "error" in values else "not"


def answer(routes, roles, method, path, caller, forbid=()):
    """Return "ambiguous", "public", "forbidden", or whether the caller may."""
    matching = [template for _, template in routes if fits(template, path)[0]]
    rule, listed = "deny", (method, "GET" if method == "HEAD" else method, "")
    if matching:
        best = min(matching, key=lambda template: [RANK.get(segment, 0) for segment in template])
        if not fits(best, path)[1]:
            return "ambiguous"
        rule = next((routes[m, best] for m in listed if (m, best) in routes), "deny")
    for asked, template, table in forbid:
        low = tuple(segment.lower() for segment in path)
        if asked in listed and fits(template, low)[0] and value(table, roles, caller) != "not":
            return "forbidden"
    if isinstance(rule, str):
        return {"public": "public", "deny": False, "authenticated": True}[rule]
    return value(rule, roles, caller) == "met"
