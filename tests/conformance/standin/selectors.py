"""Label and field selectors: `a=b,c!=d,e in (f,g),h,!i`."""

from __future__ import annotations

import re
from collections.abc import Mapping

Term = tuple[str, str, tuple[str, ...]]
TERM = re.compile(
    r"(?P<key>[^\s!=,()]+)\s*(?:(?P<sign>==|=|!=)\s*(?P<value>[^,]*)|(?P<word>notin|in)\s*\((?P<set>[^)]*)\))"
)


def parse(text: str) -> tuple[Term, ...]:
    """The terms, all of which must hold: (key, operator, values) with the operators in, notin, exists, absent."""
    return tuple(_term(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip())


def _term(text: str) -> Term:
    found = TERM.fullmatch(text)
    if found is None:
        return (text[1:].strip(), "absent", ()) if text.startswith("!") else (text, "exists", ())
    if found["word"]:
        return found["key"], found["word"], tuple(value.strip() for value in found["set"].split(","))
    return found["key"], "notin" if found["sign"] == "!=" else "in", (found["value"].strip(),)


def holds(terms: tuple[Term, ...], labels: Mapping[str, str]) -> bool:
    """Whether all terms hold."""
    return all(_holds(term, labels) for term in terms)


def _holds(term: Term, labels: Mapping[str, str]) -> bool:
    key, operator, values = term
    if operator in ("exists", "absent"):
        return (key in labels) == (operator == "exists")
    return (labels.get(key) in values) == (operator == "in")
