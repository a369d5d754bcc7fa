"""Retries of a backend whose budget is used up: what clients get with and without a policy, and after a reload."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gatewayd.routing.change import difference
from gatewayd.routing.snapshot import Retry, RetryBudgetPlan, Timeouts
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, rule

BUSY = message("HTTP/1.1 503 Service Unavailable", "content-length: 4", body=b"busy")
BROKEN = message("HTTP/1.1 500 Internal Server Error", "content-length: 4", body=b"ouch")
POST = message("POST / HTTP/1.1", "Host: a")
NONE = RetryBudgetPlan("shop/calm", "Service/shop/shop", percent=0, interval=10.0, count=1, every=3600.0)
SOME = replace(NONE, percent=50)


def retried(*codes: int, attempts: int = 2, **timeouts: float) -> Any:
    return rule(retry=Retry(attempts, codes, 0.05), timeouts=Timeouts(**timeouts) if timeouts else None)


def exhausted(talk: Conversation) -> Conversation:
    """The one retry of each budget is taken."""
    for backend in talk.runtime.backends.values():
        while backend.may_retry(talk.clock.now):
            pass
    return talk


def refused(data: bytes) -> bool:
    return data.startswith(b"HTTP/1.1 503 ") and data.count(b"HTTP/1.1 ") == 1


def test_without_a_policy_the_failure_itself_is_the_answer(start: Start):
    talk = start(retried(500))
    client, backend = talk.exchange()
    exhausted(talk)
    client.sends(GET)
    backend.sends(BROKEN)
    assert client.takes() == BROKEN


def test_over_budget_is_503(start: Start):
    talk = exhausted(start(retried(500), retries=NONE))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(BROKEN)
    assert refused(client.takes())
    assert (talk.line["status"], talk.line["reason"], talk.runtime.counts.upstream_retries) == (503, "retry_budget", 0)
    talk.passes(1)
    assert talk.runtime.counts.upstream_retries_refused == 2, "that of `exhausted` and this one"
    client.sends(GET)
    assert backend.takes() == 2 * ASKED, "both connections serve on"
    backend.sends(OK)
    assert client.takes() == OK
    assert talk.loop.timers == []


def test_a_long_answer_of_which_nothing_is_sent_costs_its_connection(start: Start):
    talk = exhausted(start(retried(500), retries=NONE))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(BROKEN[:-1])
    assert refused(client.takes())
    assert (client.state, backend.state) == ("open", "aborted")


def test_what_would_not_be_tried_again_is_passed_on(start: Start):
    talk = exhausted(start(retried(500), retries=NONE))
    client = talk.client()
    client.sends(GET)
    talk.backend().sends(message("HTTP/1.1 404 Not Found", "content-length: 0"))
    assert client.takes().startswith(b"HTTP/1.1 404 ")


def test_the_last_attempt_is_passed_on_within_the_budget(start: Start):
    talk = start(retried(500, attempts=1), retries=NONE)
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(BROKEN)
    talk.passes(0.07)
    assert backend.takes() == 2 * ASKED
    backend.sends(BROKEN)
    assert client.takes() == BROKEN


def refuses(talk: Conversation) -> None:
    talk.refuses()


def leaves(talk: Conversation) -> None:
    talk.backend().leaves()


def says_nothing(talk: Conversation) -> None:
    talk.backend()
    talk.passes(0.51)


@pytest.mark.parametrize("fail", [refuses, leaves, says_nothing])
def test_lost_attempts_over_budget_are_503(start: Start, fail: Callable[[Conversation], None]):
    talk = exhausted(start(retried(backend_request=0.5), retries=NONE))
    client = talk.client()
    client.sends(GET)
    fail(talk)
    assert refused(client.takes())
    assert (talk.line["reason"], talk.asks, talk.loop.timers) == ("retry_budget", 0, [])
    assert [endpoint.active for endpoint in talk.runtime.backends["shop"].endpoints] == [0]


def test_a_request_that_may_not_be_sent_twice_does_not_ask_the_budget(start: Start):
    talk = exhausted(start(retried(), retries=NONE))
    client = talk.client()
    client.sends(POST)
    talk.backend().leaves()
    assert refused(client.takes())
    assert talk.line["reason"] == "upstream_closed"


def test_what_is_tried_again_without_a_rule_keeps_to_the_budget(start: Start):
    talk = start(retries=NONE)
    client, backend = talk.exchange()
    exhausted(talk)
    client.sends(GET)
    backend.leaves()
    assert refused(client.takes())
    assert (talk.line["reason"], talk.asks) == ("retry_budget", 0)


def test_requests_earn_retries(start: Start):
    talk = start(retried(500, attempts=1), retries=SOME)
    client, backend = talk.exchange()
    exhausted(talk)
    talk.passes(1)
    for _ in range(2):
        client.sends(GET)
        backend.sends(OK)
        assert client.takes() == OK
    client.sends(GET)
    backend.sends(BROKEN)
    talk.passes(0.07)
    backend.sends(OK)
    assert client.takes() == OK
    assert talk.runtime.counts.upstream_retries == 1


def reload(talk: Conversation, retries: RetryBudgetPlan | None) -> None:
    old = talk.runtime.snapshot
    plans = {key: replace(plan, retries=retries) for key, plan in old.backends.items()}
    talk.runtime.apply(difference(old, replace(old, generation=old.generation + 1, backends=plans)), {})


def test_a_reload_of_the_budget_leaves_connections_alone(start: Start):
    talk = start(retried(500), retries=NONE)
    client, backend = talk.exchange()
    (endpoint,) = talk.runtime.backends["shop"].endpoints
    client.sends(GET)
    reload(talk, SOME)
    backend.sends(OK)
    assert client.takes() == OK
    assert talk.runtime.backends["shop"].endpoints == (endpoint,)
    client.sends(GET)
    assert (backend.state, talk.asks) == ("open", 0)
    backend.sends(OK)
    assert client.takes() == OK


def test_a_policy_comes_and_goes(start: Start):
    talk = start(retried(500))
    (backend,) = talk.runtime.backends.values()
    for retries, count in ((NONE, 1), (None, 100), (NONE, 1)):
        reload(talk, retries)
        assert backend.budget.strict == (retries is not None)
        assert sum(backend.may_retry(talk.clock.now) for _ in range(500)) == count


def test_all_ports_of_a_target_have_one_budget_which_goes_with_them(start: Start):
    places = {name: (("10.0.0.1", port),) for name, port in (("shop", 80), ("shop:81", 81))}
    talk = start(endpoints=places, retries=NONE)
    one, other = talk.runtime.backends.values()
    assert one.budget is other.budget
    reload(talk, replace(NONE, percent=3))
    assert one.budget is other.budget
    reload(talk, None)
    gc.collect()
    assert len({id(backend.budget) for backend in talk.runtime.backends.values()}) == 2
    assert not talk.runtime._budgets
