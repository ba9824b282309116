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


def above(caller):
    level = caller["claims"].get("level")
    return "error" if not isinstance(level, int) else "met" if level > 1 else "not"


def own(caller, place):
    tenant = caller["claims"].get("tenant")
    return "error" if tenant is None or place is None else "met" if place == tenant else "not"


CONDITIONS = {
    "PLACE == subject.claims.tenant": lambda caller, method, place: own(caller, place),
    "subject.claims.level > 1": lambda caller, method, place: above(caller),
    'action.name == "PUT"': lambda caller, method, place: "met" if method == "PUT" else "not",
    'subject.claims.level > 1 || action.name == "PUT"': (
        lambda caller, method, place: "met" if method == "PUT" else above(caller)
    ),
    'subject.claims.level > 1 && PLACE != "b"': (
        lambda caller, method, place: lowest(
            [above(caller), "error" if place is None else "not" if place == "b" else "met"]
        )
    ),
}
"""`PLACE` is the first `<p>` of the template, or the method where there is none."""


def placed(template, method, path):
    """Return what a condition reads: the method, and what stands at its place; None: unknown."""
    method = "GET" if method == "HEAD" else method
    if "<p>" not in template:
        return method, method
    return method, path[template.index("<p>")] if fits(template, path)[1] else None


def value(rule, roles, caller, request=("GET", "GET"), said=None):
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
        elif key == "when":
            found.append(CONDITIONS[want](caller, *request))
        elif key == "scopes":
            found.append("met" if all(each in caller["scopes"] for each in want) else "not")
        elif key == "acr":
            has = caller["claims"].get("acr")
            found.append("error" if has is None else "met" if has in want else "not")
        elif key == "max_age":
            at = caller["claims"].get("auth_time", NOW + 1)
            found.append("error" if at > NOW else "met" if NOW - at <= want else "not")
        elif key == "pdp":
            found.append((said or {}).get(want, "error"))
        elif key == "all":
            found.append(lowest([value(part, roles, caller, request, said) for part in want]))
        elif key == "any":
            found.append(highest([value(part, roles, caller, request, said) for part in want]))
        elif key == "not":
            inner = value(want, roles, caller, request, said)
            found.append({"met": "not", "not": "met", "error": "error"}[inner])
    return lowest(found)


def lowest(values):
    return "not" if "not" in values else "error" if "error" in values else "met"


def highest(values):
    return "met" if "met" in values else "error" if "error" in values else "not"


def answer(routes, roles, method, path, caller, forbid=(), said=None):
    """Return "ambiguous", "public", "forbidden", or whether the caller may.

    `said` is what decision points say, by name: "met", "not" or "error".
    """
    matching = [template for _, template in routes if fits(template, path)[0]]
    rule, best, listed = "deny", (), (method, "GET" if method == "HEAD" else method, "")
    if matching:
        best = min(matching, key=lambda template: [RANK.get(segment, 0) for segment in template])
        if not fits(best, path)[1]:
            return "ambiguous"
        rule = next((routes[m, best] for m in listed if (m, best) in routes), "deny")
    for asked, template, table in forbid:
        low = tuple(segment.lower() for segment in path)
        if asked in listed and fits(template, low)[0]:
            # As written: a reader without regard to case hands on what it got.
            place = path[template.index("<p>")] if "<p>" in template else None
            request = placed(template, method, low)
            request = request if request[1] is None or place is None else (request[0], place)
            if value(table, roles, caller, request) != "not":
                return "forbidden"
    if isinstance(rule, str):
        return {"public": "public", "deny": False, "authenticated": True}[rule]
    return value(rule, roles, caller, placed(best, method, path), said) == "met"
