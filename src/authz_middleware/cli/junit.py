"""Results of a policy's tests in the form that CI servers read (JUnit XML)."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from authz_middleware.testing import PolicyTestReport, PolicyTestResult

__all__ = ["junit"]


def junit(report: PolicyTestReport, name: str) -> str:
    """Return the report as one suite called `name`."""
    counts = report.counts
    suite = Element(
        "testsuite",
        name=_text(name),
        tests=str(len(report.results)),
        failures=str(counts["FAIL"]),
        errors=str(counts["ERROR"]),
    )
    for result in report.results:
        _case(suite, result)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: Element, result: PolicyTestResult) -> None:
    name = f"{result.expected} {result.request} ({result.where})"
    case = SubElement(suite, "testcase", classname=_text(result.caller), name=_text(name))
    if result.outcome != "PASS":
        kind = "failure" if result.outcome == "FAIL" else "error"
        said = f"expected {result.expected}, {result.got}"
        SubElement(case, kind, message=_text(said)).text = _text(result.explanation)


def _text(text: str) -> str:
    """Return `text` without characters that XML 1.0 §2.2 does not have."""
    return "".join(
        each if each in "\t\n" or (each.isprintable() and each not in "\ufffe\uffff") else "\ufffd"
        for each in text
    )
