"""Hostnames of listeners and routes (GEP-1426; Listener.hostname and HTTPRoute.spec.hostnames)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.plan.hostnames import covers, intersection, overlap

INTERSECTIONS = [
    ("", (), ("",)),  # nobody names anything
    ("", ("a.com", "*.b.com"), ("a.com", "*.b.com")),  # the route's names on a listener for all
    ("a.com", (), ("a.com",)),  # the listener's name for a route for all
    ("a.com", ("a.com",), ("a.com",)),
    ("a.com", ("A.COM",), ("a.com",)),  # names compare without case
    ("a.com", ("b.com",), ()),
    ("*.a.com", ("x.a.com",), ("x.a.com",)),
    ("*.a.com", ("x.y.a.com",), ("x.y.a.com",)),  # a wildcard stands for one or more labels
    ("*.a.com", ("a.com",), ()),  # and never for none
    ("*.a.com", ("xa.com",), ()),  # labels, not letters
    ("x.a.com", ("*.a.com",), ("x.a.com",)),  # the route's wildcard shrinks to the listener's name
    ("*.a.com", ("*.a.com",), ("*.a.com",)),
    ("*.a.com", ("*.b.a.com",), ("*.b.a.com",)),
    ("*.b.a.com", ("*.a.com",), ("*.b.a.com",)),
    ("*.a.com", ("*.b.com",), ()),
    ("*.a.com", ("a.com", "x.a.com", "b.org"), ("x.a.com",)),  # what does not meet is dropped
    ("abc.a.com", ("*.a.com", "abc.a.com"), ("abc.a.com",)),  # no name twice
]


@pytest.mark.parametrize(("listener", "route", "expected"), INTERSECTIONS)
def test_intersection(listener: str, route: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert intersection(listener, route) == expected


labels = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map(".".join)
hostnames = st.one_of(st.just(""), labels, labels.map("*.{}".format))


@given(hostnames, hostnames, labels)
def test_overlap_stands_for_the_names_of_both(first: str, second: str, name: str) -> None:
    both = overlap(first, second)
    assert (covers(first, name) and covers(second, name)) == (both is not None and covers(both, name))
    assert both == overlap(second, first)
