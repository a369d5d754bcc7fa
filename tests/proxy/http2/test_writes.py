"""How many writes HTTP/2 makes of what it has to say, and what goes with what: frames of one read leave together."""

from __future__ import annotations

import pytest

from gatewayd.wire import frames
from tests.frames import cut
from tests.proxy.conversation import OK, Conversation, Peer, Start
from tests.proxy.pairs import nothing_is_left
from tests.proxy.peers import Backend2, Client2

HEAD = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(protocol="h2c")


def writes(peer: Peer) -> list[bytes]:
    """A list that fills with what is written from now on."""
    found: list[bytes] = []
    write = peer.transport.write

    def seen(data: bytes) -> None:
        found.append(data)
        write(data)

    peer.transport.write = seen  # type: ignore[method-assign]
    return found


def ask(client: Client2, *streams: int) -> None:
    """Requests that come in one read."""
    for stream in streams:
        client.h2.send_headers(stream, HEAD, end_stream=True)
    client.flush()


def answer(backend: Backend2, *streams: int, body: bytes = b"ok") -> None:
    """Responses that come in one read."""
    for stream in streams:
        backend.h2.send_headers(stream, [(":status", "200")])
        backend.h2.send_data(stream, body, end_stream=True)
    backend.flush()


def test_requests_of_one_read_leave_in_one_write_and_so_do_the_answers(talk: Conversation) -> None:
    client = Client2(talk)
    ask(client, 1)
    backend = Backend2(talk.backend())
    answer(backend, 1)
    to_client, to_backend = writes(client.peer), writes(backend.peer)
    ask(client, *range(3, 35, 2))
    backend.settle()
    answer(backend, *range(3, 35, 2))
    client.settle()
    assert [message.body for message in client.messages.values()] == [b"ok"] * 17
    assert (len(to_backend), len(to_client)) == (1, 1)
    nothing_is_left(talk)


def test_a_lonely_request_and_its_answer_wait_for_no_further_turn(talk: Conversation) -> None:
    client = Client2(talk)
    ask(client, 1)
    backend = Backend2(talk.backend())
    answer(backend, 1)
    client.h2.send_headers(3, HEAD, end_stream=True)
    client.peer.transport.deliver(client.h2.data_to_send())
    assert not talk.loop.soon
    backend.pull()
    backend.h2.send_headers(3, [(":status", "200")])
    backend.h2.send_data(3, b"ok", end_stream=True)
    backend.peer.transport.deliver(backend.h2.data_to_send())
    assert not talk.loop.soon
    client.pull()
    assert client.messages[3].body == b"ok"
    nothing_is_left(talk)


def test_a_lonely_answer_of_http1_waits_for_no_further_turn(start: Start) -> None:
    talk = start()
    client = Client2(talk)
    ask(client, 1)
    backend = talk.backend()
    backend.transport.deliver(OK)
    assert not talk.loop.soon
    client.pull()
    assert client.messages[1].ended
    nothing_is_left(talk)


def test_answers_of_several_backends_in_one_turn_leave_in_one_write(start: Start) -> None:
    talk = start()
    client = Client2(talk)
    ask(client, 1, 3, 5)
    backends = [talk.backend() for _ in range(3)]
    to_client = writes(client.peer)
    for backend in backends:
        backend.transport.inbox.append(OK)
    talk.settle()
    client.pull()
    assert [message.ended for message in client.messages.values()] == [True] * 3
    assert len(to_client) == 1
    nothing_is_left(talk)


def test_requests_of_several_clients_in_one_turn_leave_in_few_writes(talk: Conversation) -> None:
    clients = [Client2(talk) for _ in range(4)]
    ask(clients[0], 1)
    backend = Backend2(talk.backend())
    to_backend = writes(backend.peer)
    for client in clients[1:]:
        client.h2.send_headers(1, HEAD, end_stream=True)
        client.peer.transport.inbox.append(client.h2.data_to_send())
    talk.settle()
    backend.pull()
    assert (len(backend.messages), len(to_backend)) == (4, 1)
    answer(backend, 1, 3, 5, 7)
    nothing_is_left(talk)


def test_a_head_whose_body_comes_later_does_not_wait_for_it(talk: Conversation) -> None:
    client = Client2(talk)
    ask(client, 1)
    backend = Backend2(talk.backend())
    backend.answers(1, 200, end=False)
    client.settle()
    assert (client.messages[1].status, client.messages[1].ended) == (200, False)
    backend.sends(1, b"later", end=True)
    client.settle()
    assert (client.messages[1].body, client.messages[1].ended) == (b"later", True)
    nothing_is_left(talk)


def test_a_head_and_a_reset_in_one_read_are_both_passed_on(talk: Conversation) -> None:
    client = Client2(talk)
    ask(client, 1)
    backend = Backend2(talk.backend())
    backend.h2.send_headers(1, [(":status", "200"), ("content-length", "9")])
    backend.h2.reset_stream(1, 8)
    backend.flush()
    client.settle()
    assert (client.messages[1].status, client.messages[1].reset) == (200, frames.ErrorCode.INTERNAL_ERROR)
    assert (talk.line["status"], talk.line["reason"]) == (200, "upstream_reset")
    nothing_is_left(talk)


def test_heads_that_come_before_all_bodies(talk: Conversation) -> None:
    """Frames of other streams come between a head and its body, in one read."""
    client = Client2(talk)
    ask(client, 1, 3, 5)
    backend = Backend2(talk.backend())
    for stream in (5, 1, 3):
        backend.h2.send_headers(stream, [(":status", "200"), ("x-stream", str(stream))])
    for stream in (3, 5, 1):
        backend.h2.send_data(stream, b"%d" % stream, end_stream=stream != 5)
    backend.h2.send_headers(5, [("x-end", "yes")], end_stream=True)
    backend.flush()
    client.settle()
    found = {stream: (message.fields[b"x-stream"], message.body) for stream, message in client.messages.items()}
    assert found == {stream: (b"%d" % stream, b"%d" % stream) for stream in (1, 3, 5)}
    assert client.messages[5].trailers == {b"x-end": b"yes"}
    nothing_is_left(talk)


def test_a_head_and_its_trailers_in_one_read(talk: Conversation) -> None:
    client = Client2(talk)
    ask(client, 1)
    backend = Backend2(talk.backend())
    backend.h2.send_headers(1, [(":status", "200"), ("content-type", "application/grpc")])
    backend.h2.send_headers(1, [("grpc-status", "0")], end_stream=True)
    backend.flush()
    client.settle()
    assert (client.messages[1].trailers, client.messages[1].ended) == ({b"grpc-status": b"0"}, True)
    nothing_is_left(talk)


def test_a_head_before_what_is_a_fault_of_the_connection(talk: Conversation) -> None:
    client = Client2(talk)
    ask(client, 1)
    backend = Backend2(talk.backend())
    backend.h2.send_headers(1, [(":status", "200")])
    head = backend.h2.data_to_send()
    backend.sends_raw(head + frames.data(9, b"of no stream", False) + b"\0\0\0\0\0\0\0\0\0")
    client.settle()
    assert (client.messages[1].status, client.messages[1].reset) == (200, frames.ErrorCode.INTERNAL_ERROR)
    nothing_is_left(talk)


def test_a_window_opens_again_when_half_of_it_is_used_and_not_after_the_end(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("POST", "/", end=False)
    backend = Backend2(talk.backend(), settings={frames.INITIAL_WINDOW_SIZE: 1 << 20})
    to_client = writes(client.peer)
    client.sends(1, b"x" * 32767)
    assert not to_client
    client.sends(1, b"x")
    assert [(kind, stream) for kind, _, stream, _ in cut(b"".join(to_client))] == [(frames.WINDOW_UPDATE, 1)]
    to_client.clear()
    client.sends(1, b"x" * 40000, end=True)
    assert [(kind, stream) for kind, _, stream, _ in cut(b"".join(to_client))] == [(frames.WINDOW_UPDATE, 1)]
    backend.settle()
    assert len(backend.messages[1].body) == 72768
    answer(backend, 1)
    nothing_is_left(talk)


def test_a_connection_that_cannot_be_written_to_keeps_no_other_waiting(talk: Conversation) -> None:
    """Clients are written to when the read of their backend is over, one after the other."""
    clients = [Client2(talk) for _ in range(2)]
    ask(clients[0], 1)
    backend = Backend2(talk.backend())
    ask(clients[1], 1)
    backend.settle()

    def fails(data: bytes) -> None:
        raise ValueError("not written")

    clients[0].peer.transport.write = fails  # type: ignore[method-assign]
    backend.h2.send_headers(1, [(":status", "200")])
    backend.h2.send_headers(3, [(":status", "200")])
    backend.peer.transport.deliver(backend.h2.data_to_send())
    assert [type(error) for error in talk.runtime.errors] == [ValueError]
    talk.runtime.errors.clear()
    assert clients[0].peer.state == "aborted"
    clients[1].pull()
    assert clients[1].messages[1].status == 200
    assert talk.runtime.reading is None


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"a", b"b"], [b"a", b"b", b"c"], [b"a" * 16000, b"b" * 16000]])
@pytest.mark.parametrize("end", ["trailers", "empty", "last", "reset"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_response_is_the_same_in_one_read_or_in_many(
    talk: Conversation, pieces: list[bytes], end: str, alone: bool
) -> None:
    client = Client2(talk)
    ask(client, 1)
    backend = Backend2(talk.backend())
    backend.settle()

    def then() -> None:
        if alone:
            backend.flush()

    backend.h2.send_headers(1, [(":status", "200"), ("content-type", "application/grpc")])
    then()
    for place, piece in enumerate(pieces):
        backend.h2.send_data(1, piece, end_stream=end == "last" and place == len(pieces) - 1)
        then()
    if end == "trailers":
        backend.h2.send_headers(1, [("grpc-status", "0"), ("grpc-message", "")], end_stream=True)
    elif end == "reset":
        backend.h2.reset_stream(1, 2)
    elif end == "empty" or not pieces:
        backend.h2.end_stream(1)
    backend.flush()
    client.settle()
    found = client.messages[1]
    assert (found.status, found.body) == (200, b"".join(pieces))
    assert (found.reset is None, found.ended) == ((True, True) if end != "reset" else (False, False))
    assert found.trailers == ({b"grpc-status": b"0", b"grpc-message": b""} if end == "trailers" else {})
    assert talk.line["bytes_out"] == len(b"".join(pieces))
    nothing_is_left(talk)
