"""Which endpoint takes a request, what a failure costs it, what stays when the addresses change."""

from __future__ import annotations

from collections import Counter

import pytest

from gatewayd.upstream.backend import Backend
from gatewayd.upstream.endpoint import Endpoint

ADDRESSES = [(f"10.0.0.{number}", 80) for number in range(1, 5)]


class Pooled:
    """A pooled connection that remembers that it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def backend_of(count: int) -> Backend:
    backend = Backend("default/shop:80")
    backend.update(ADDRESSES[:count])
    return backend


def picked(backend: Backend, tried: Endpoint | None = None) -> Endpoint:
    endpoint = backend.pick(tried)
    assert endpoint is not None
    return endpoint


# -- the choice --------------------------------------------------------------------------------------------------------


def test_no_endpoint_no_choice():
    assert backend_of(0).pick() is None


def test_one_endpoint_takes_all():
    backend = backend_of(1)
    assert {picked(backend) for _ in range(100)} == set(backend.endpoints)


def test_equally_busy_endpoints_share_evenly():
    backend = backend_of(4)
    counts = Counter(picked(backend) for _ in range(40_000))
    assert all(abs(counts[endpoint] - 10_000) < 600 for endpoint in backend.endpoints)  # seven standard deviations


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_busiest_endpoint_is_never_chosen(count: int):
    """Of two different endpoints, it is never the less busy one."""
    backend = backend_of(count)
    backend.endpoints[1].active = 1
    assert backend.endpoints[1] not in {picked(backend) for _ in range(2000)}


def test_requests_in_flight_are_levelled():
    backend = backend_of(4)
    for _ in range(4000):
        picked(backend).active += 1
    active = [endpoint.active for endpoint in backend.endpoints]
    assert max(active) - min(active) <= 8


def test_a_retry_goes_elsewhere():
    backend = backend_of(3)
    tried = backend.endpoints[0]
    assert {picked(backend, tried) for _ in range(500)} == set(backend.endpoints[1:])
    assert backend_of(1).pick(backend_of(1).endpoints[0]) is not None
    lonely = backend_of(1)
    assert lonely.pick(lonely.endpoints[0]) is None


def test_a_retry_rather_goes_to_an_endpoint_that_failed_before_than_to_the_same():
    backend = backend_of(2)
    one, other = backend.endpoints
    backend.failed(other, 0.0)
    assert backend.pick(one) is other


# -- ejection ----------------------------------------------------------------------------------------------------------


def test_an_endpoint_that_failed_is_left_out_for_a_while():
    backend = backend_of(2)
    bad, good = backend.endpoints
    backend.failed(bad, 100.0)
    assert {picked(backend) for _ in range(200)} == {good}
    backend.tick(100.9)
    assert bad not in backend.live
    backend.tick(101.0)
    assert bad in backend.live


def test_each_failure_costs_more_time_up_to_a_bound():
    backend = backend_of(2)
    bad = backend.endpoints[0]
    times = []
    for _ in range(2000):
        backend.failed(bad, 0.0)
        times.append(bad.ejected_until)
    assert times[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert max(times) == 30.0


def test_a_connection_that_was_made_forgives_all():
    backend = backend_of(2)
    bad = backend.endpoints[0]
    for _ in range(5):
        backend.failed(bad, 0.0)
    backend.worked(bad)
    assert backend.live == backend.endpoints
    backend.failed(bad, 0.0)
    assert bad.ejected_until == 1.0


def test_when_all_failed_all_are_tried():
    backend = backend_of(3)
    for endpoint in backend.endpoints:
        backend.failed(endpoint, 0.0)
    assert backend.live == ()
    assert {picked(backend) for _ in range(500)} == set(backend.endpoints)


def test_an_endpoint_that_failed_stays_out_when_others_change():
    backend = backend_of(3)
    backend.failed(backend.endpoints[0], 0.0)
    backend.update(ADDRESSES)
    assert [endpoint.host for endpoint in backend.live] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]


# -- requests without an answer ----------------------------------------------------------------------------------------


def unanswered(backend: Backend, endpoint: Endpoint, now: float, times: int = 1) -> list[bool]:
    """Requests that were sent just now and got no answer; which of them left the endpoint out."""
    return [backend.unanswered(endpoint, now, now) for _ in range(times)]


def test_an_endpoint_that_answers_nothing_is_left_out():
    backend = backend_of(3)
    mute = backend.endpoints[0]
    assert unanswered(backend, mute, 100.0, 5) == [False] * 4 + [True]
    assert mute not in {picked(backend) for _ in range(200)}
    backend.tick(100.9)
    assert mute not in backend.live
    backend.tick(101.0)
    assert mute in backend.live


def test_one_answer_in_between_is_enough():
    backend = backend_of(2)
    one = backend.endpoints[0]
    for _ in range(10):
        assert not any(unanswered(backend, one, 100.0, 4))
        backend.answered(one)
    assert backend.live == backend.endpoints


def test_an_endpoint_that_comes_back_gets_one_request_until_that_is_answered():
    backend = backend_of(2)
    mute, other = backend.endpoints
    unanswered(backend, mute, 100.0, 5)
    backend.tick(101.0)
    backend.probe(mute, 101.0)
    assert backend.live == (other,)
    backend.tick(130.9)
    assert backend.live == (other,)
    backend.answered(mute)
    assert (backend.live, mute.ejected_until, mute.unanswered) == (backend.endpoints, 0.0, 0)


def test_each_time_without_an_answer_is_longer():
    backend = backend_of(2)
    mute = backend.endpoints[0]
    unanswered(backend, mute, 0.0, 4)
    now, times = 0.0, []
    for _ in range(8):
        assert unanswered(backend, mute, now) == [True]
        times.append(mute.ejected_until - now)
        now = mute.ejected_until
        backend.tick(now)
        backend.probe(mute, now)
    assert times == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_what_was_sent_before_tells_nothing_new():
    """A hundred requests that end at the same moment are one outage."""
    backend = backend_of(2)
    mute = backend.endpoints[0]
    ends = [backend.unanswered(mute, 90.0 + number / 100, 100.0) for number in range(100)]
    assert (sum(ends), mute.ejected_until) == (1, 101.0)


def test_the_last_endpoint_stays():
    backend = backend_of(2)
    one, other = backend.endpoints
    assert unanswered(backend, one, 100.0, 5)[-1]
    assert not any(unanswered(backend, other, 100.0, 50))
    assert {picked(backend) for _ in range(100)} == {other}
    lonely = backend_of(1)
    assert not any(unanswered(lonely, lonely.endpoints[0], 100.0, 50))


def test_a_connection_does_not_forgive_what_was_not_answered():
    backend = backend_of(2)
    mute, other = backend.endpoints
    backend.failed(mute, 100.0)
    unanswered(backend, mute, 100.0, 5)
    backend.worked(mute)
    assert backend.live == (other,)


# -- changes -----------------------------------------------------------------------------------------------------------


def test_an_update_keeps_the_connections_of_what_stays():
    backend = backend_of(3)
    stays, goes = backend.endpoints[1], backend.endpoints[0]
    kept, dropped = Pooled(), Pooled()
    stays.idle[kept] = None
    goes.idle[dropped] = None
    stays.active = 7
    backend.update([ADDRESSES[3], ADDRESSES[1]])
    assert [endpoint.address for endpoint in backend.endpoints] == [ADDRESSES[3], ADDRESSES[1]]
    assert backend.endpoints[1] is stays
    assert (stays.active, stays.gone, kept.closed, list(stays.idle)) == (7, False, False, [kept])
    assert (goes.gone, dropped.closed, dict(goes.idle)) == (True, True, {})
    assert backend.live == backend.endpoints


def test_repeated_addresses_count_once():
    backend = Backend("b")
    backend.update([ADDRESSES[0], ADDRESSES[1], ADDRESSES[0]])
    assert [endpoint.address for endpoint in backend.endpoints] == ADDRESSES[:2]


def test_an_endpoint_that_comes_back_is_a_new_one():
    backend = backend_of(1)
    first = backend.endpoints[0]
    backend.update(())
    assert backend.pick() is None
    backend.update(ADDRESSES[:1])
    assert backend.endpoints[0] is not first
    assert not backend.endpoints[0].gone


@pytest.mark.parametrize(
    ("host", "label"),
    [("10.0.0.1", b"10.0.0.1:80"), ("2001:db8::1", b"[2001:db8::1]:80"), ("fe80::1%eth0", b"[fe80::1%eth0]:80")],
)
def test_labels_of_the_access_log(host: str, label: bytes):
    assert Endpoint(host, 80).label == label


# -- sessions ----------------------------------------------------------------------------------------------------------


def labels(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [endpoint.host.rpartition(".")[2] for endpoint in endpoints]


def test_draining_endpoints_are_there_for_sessions_only():
    backend = backend_of(3)
    first = backend.endpoints[0]
    backend.update(ADDRESSES[1:3], ADDRESSES[:1])
    assert first.gone, "its connections are of no more use than before"
    assert labels(backend.endpoints) == ["2", "3"]
    assert not backend.leaving, "nobody asked for it"
    assert labels(backend.bindable()) == ["2", "3", "1"]
    assert {picked(backend).host for _ in range(100)} == {"10.0.0.2", "10.0.0.3"}
    (leaving,) = backend.leaving
    assert backend.bindable()[-1] is leaving


def test_a_draining_endpoint_stays_the_same_until_it_is_gone():
    backend = backend_of(2)
    backend.update(ADDRESSES[1:2], ADDRESSES[:1])
    (leaving,) = backend.bindable()[1:]
    assert (leaving.gone, leaving.kept) == (False, False), "its connections end with their requests"
    backend.update(ADDRESSES[1:3], ADDRESSES[:1])
    assert list(backend.leaving) == [leaving]
    backend.update(ADDRESSES[:2])
    assert backend.endpoints[0] is leaving, "ready again"
    assert [leaving.gone, leaving.kept, len(backend.leaving)] == [False, True, 0]
    backend.update(ADDRESSES[1:2])
    assert [leaving.gone, leaving.kept] == [True, False]


def test_every_update_is_another_version():
    backend = backend_of(0)
    versions = {backend.version}
    for addresses, draining in ([], ADDRESSES[:1]), ([], []), (ADDRESSES[:1], []), (ADDRESSES[:1], ADDRESSES[:1]):
        backend.update(addresses, draining)
        versions.add(backend.version)
    assert len(versions) == 5
    assert labels(backend.bindable()) == ["1"], "what is ready does not drain"


def test_room_is_made_at_other_endpoints_only():
    backend = backend_of(2)
    one, other = backend.endpoints
    mine, old, new = Pooled(), Pooled(), Pooled()
    one.idle[mine] = None
    backend.make_room(one)
    assert not mine.closed
    other.idle |= {old: None, new: None}
    backend.make_room(one)
    assert ([mine.closed, old.closed, new.closed], list(other.idle)) == ([False, True, False], [new])


def test_whether_there_is_another_endpoint():
    backend = backend_of(1)
    (only,) = backend.endpoints
    assert not backend.has_other(only)
    assert backend.has_other(Endpoint("10.0.0.9", 80))
    assert not backend_of(0).has_other(None)
    assert backend_of(2).has_other(only)
