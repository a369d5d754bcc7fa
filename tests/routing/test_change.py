from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.routing.change import SECTIONS, apply, decode_change, difference, encode, is_empty
from gatewayd.routing.snapshot import BackendPlan, CertificatePlan, Settings, Snapshot
from tests.routing.random_plans import DICE, a_port, some_routes

decode_snapshot = msgspec.msgpack.Decoder(Snapshot).decode
_keys = st.sampled_from(["a", "b", "c"])
_endpoints = st.lists(st.tuples(st.sampled_from(["10.0.0.1", "::1"]), st.integers(1, 3)), max_size=2).map(tuple)
_backends = st.dictionaries(
    _keys, st.builds(BackendPlan, key=_keys, endpoints=_endpoints, dns=st.one_of(st.none(), st.just(("a", 1))))
)
_certificates = st.dictionaries(
    _keys, st.builds(CertificatePlan, key=_keys, chain=st.binary(max_size=3), private_key=st.just(b"k"))
)
_settings = st.dictionaries(_keys, st.builds(Settings, fields=st.integers(1, 3), access_log=st.booleans()))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """A snapshot; its parts need not fit together, since nothing here asks."""
    return Snapshot(
        generation=draw(st.integers(0, 100)),
        ports={port.key: port for port in draw(st.lists(DICE.map(a_port), max_size=1))},
        routes=draw(st.one_of(st.just({}), DICE.map(some_routes))),
        backends=draw(_backends),
        certificates=draw(_certificates),
        settings=draw(_settings),
    )


@given(snapshots(), snapshots())
@settings(max_examples=150)
def test_a_change_leads_from_one_snapshot_to_the_other(old: Snapshot, new: Snapshot):
    change = difference(old, new)
    assert apply(old, change) == new
    assert apply(decode_snapshot(encode(old)), decode_change(encode(change))) == new


@given(snapshots())
@settings(max_examples=50)
def test_no_change_is_empty(snapshot: Snapshot):
    for same in (snapshot, decode_snapshot(encode(snapshot))):
        change = difference(snapshot, same)
        assert is_empty(change)


@given(snapshots(), snapshots())
@settings(max_examples=50)
def test_what_did_not_change_stays_the_same_object(old: Snapshot, new: Snapshot):
    result = apply(old, difference(old, new))
    for section in SECTIONS:
        before, after = getattr(old, section), getattr(result, section)
        for key in before.keys() & after.keys():
            assert (after[key] is before[key]) == (before[key] == getattr(new, section)[key])


def test_a_change_fits_one_generation_only():
    change = difference(Snapshot(generation=1), Snapshot(generation=2))
    with pytest.raises(ValueError, match="from generation 1 does not fit generation 3"):
        apply(Snapshot(generation=3), change)
