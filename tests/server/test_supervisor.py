from __future__ import annotations

import os
import pwd
import re
import signal
import socket
from pathlib import Path

import orjson
import pytest

from tests.processes import free_port
from tests.server.gateways import Gateway, gateway, wait_for


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_ready_line_comes_when_every_worker_serves(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", "route a", "route b") as subject:
        subject.ready()
        assert re.fullmatch(r"gatewayd ready: 1 listeners, 2 routes, 2 workers, generation 1, \d+ ms\n", subject.out)
        assert subject.get("/readyz") == (200, b"ok\n")
        assert set(subject.pids()) == {0, 1}
        assert subject.ask()["routes"] == ["a", "b"]


def test_a_change_reaches_the_workers_without_a_signal(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        other = free_port()
        subject.write(f"port {subject.port}", f"port {other}", "route new")
        wait_for(lambda: subject.generation() == 2)
        assert subject.ask(other)["routes"] == ["new"]
        subject.write(f"port {other}", "route new")
        wait_for(lambda: subject.generation() == 3)
        with pytest.raises(ConnectionRefusedError):
            subject.connect()
        assert subject.ask(other)["generation"] == 3


def test_without_watching_a_change_waits_for_sighup(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", watch=False) as subject:
        subject.ready()
        subject.write(f"port {subject.port}", "route new")
        subject.signal(signal.SIGHUP)
        wait_for(lambda: subject.generation() == 2)
        assert subject.ask()["routes"] == ["new"]


def test_an_unchanged_plan_is_no_new_generation(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        subject.write(f"port {subject.port}", "", name="a.yaml")
        subject.write("bad words", name="b.yaml")
        wait_for(lambda: subject.logged("words"))
        assert subject.generation() == 1


def test_an_empty_plan_waits_for_files(tmp_path: Path) -> None:
    with gateway(tmp_path) as subject:
        subject.ready()
        assert subject.get("/livez") == (200, b"ok\n")
        assert subject.get("/readyz") == (503, b"not ready: no listener is served\n")
        subject.write(f"port {subject.port}")
        wait_for(lambda: subject.get("/readyz")[0] == 200)
        assert subject.ask()["generation"] == 2


def test_a_killed_worker_is_replaced_and_nobody_is_refused(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        victims = subject.pids()
        os.kill(victims[1], signal.SIGKILL)
        answers = [subject.ask() for _ in range(20)]  # whichever socket the kernel picks: none is refused
        assert all(answer["generation"] == 1 for answer in answers)
        new = wait_for(lambda: (answer := subject.ask())["worker"] == 1 and answer["pid"] != victims[1] and answer)
        assert new["generation"] == 1
        (line,) = wait_for(lambda: subject.logged("a worker ended"))
        assert (line["worker"], line["pid"], line["cause"]) == (1, victims[1], "signal 9")
        assert b"gatewayd_worker_restarts_total 1.0" in subject.get("/metrics")[1]


def test_counters_do_not_go_back_when_a_worker_is_replaced(tmp_path: Path) -> None:
    def count(subject: Gateway) -> float:
        text = subject.get("/metrics")[1].decode()
        return float(re.search(r"^gatewayd_connections_accepted_total (\S+)$", text, re.MULTILINE).group(1))  # type: ignore[union-attr]

    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        pids = subject.pids()
        before = count(subject)
        assert before >= 2
        os.kill(pids[0], signal.SIGKILL)
        wait_for(lambda: subject.logged("a worker ended"))
        assert count(subject) >= before


def test_a_stopped_worker_is_killed_and_replaced(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        victim = subject.pids()[0]
        os.kill(victim, signal.SIGSTOP)
        wait_for(lambda: subject.logged("no heartbeat"))
        wait_for(lambda: not alive(victim))
        assert wait_for(lambda: subject.pids()[0]) != victim


def test_workers_of_a_killed_supervisor_end_and_let_go_of_the_port(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        pids = subject.pids()
        sock, _ = subject.connect()
        sock.send(b"hold")
        subject.signal(signal.SIGKILL)
        subject.exit()
        successor = subject.start()  # binds at once, while a connection of the old ones is still open
        successor.ready()
        assert set(successor.pids().values()).isdisjoint(pids.values())
        sock.send(b"done")
        assert sock.recv(1) == b""
        sock.close()
        wait_for(lambda: not any(alive(pid) for pid in pids.values()))


def test_sigterm_lets_what_is_in_flight_finish(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        sock, _ = subject.connect()
        sock.send(b"hold")
        subject.signal(signal.SIGTERM)
        wait_for(lambda: subject.logged("draining"))
        wait_for(lambda: _refused(subject.port))
        assert subject.get("/readyz") == (503, b"not ready: draining\n")
        sock.send(b"done")
        assert sock.recv(1) == b""
        sock.close()
        assert subject.exit() == 0


def test_what_does_not_finish_is_cut_at_the_drain_time(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", drain_timeout=0.3) as subject:
        subject.ready()
        sock, _ = subject.connect()
        sock.send(b"hold")
        subject.signal(signal.SIGTERM)
        assert sock.recv(1) == b""
        sock.close()
        assert subject.exit() == 0


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", drain_timeout=600.0) as subject:
        subject.ready()
        sock, _ = subject.connect()
        sock.send(b"hold")
        subject.signal(signal.SIGINT)
        wait_for(lambda: subject.logged("draining"))
        subject.signal(signal.SIGTERM)
        assert subject.exit() == 0
        sock.close()


def test_a_signal_during_a_reading_ends_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with gateway(tmp_path, "port PORT", f"wait {pipe}") as subject:
        wait_for(lambda: subject.get("/livez")[0] == 200)
        assert subject.get("/readyz") == (503, b"not ready: starting\n")
        subject.signal(signal.SIGTERM)
        assert subject.exit() == 0
        assert subject.out == ""
    with gateway(tmp_path, "port PORT") as subject:
        subject.ready()
        subject.write(f"port {subject.port}", f"wait {pipe}")
        with pipe.open("w"):  # opens once the plan reads: it is under way, and the gateway goes on serving
            assert subject.ask()["generation"] == 1
            assert subject.get("/readyz") == (200, b"ok\n")
            subject.signal(signal.SIGTERM)
            assert subject.exit() == 0


def test_a_port_in_use_is_told_and_served_when_it_is_free(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with gateway(tmp_path, "port PORT", f"port {taken}") as subject:
            subject.ready()
            assert "1 listeners" in subject.out
            (line,) = subject.logged("another process uses the port")
            assert line["level"] == "error"
            assert "--port-map" in line["hint"]
            assert subject.ask()["generation"] == 1
            assert b"gatewayd_unbound_ports 1.0" in subject.get("/metrics")[1]
            other.close()
            answer = wait_for(lambda: subject.ask(taken))
            assert answer["key"] == f":{taken}"
            wait_for(lambda: subject.logged("fixed: "))


def test_a_gateway_without_any_port_does_not_stay(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with gateway(tmp_path, f"port {other.getsockname()[1]}") as subject:
            assert subject.exit() == 1
            assert subject.logged("none of the ports can be listened on")
            assert "Traceback" not in subject.err


def test_a_busy_admin_address_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with gateway(tmp_path, "port PORT", admin=address) as subject:
            assert subject.exit() == 1
            (line,) = subject.logged("admin API")
            assert address in line["message"]


def test_a_worker_that_there_is_not_is_told(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", worker_command=["/missing/python"]) as subject:
        assert subject.exit() == 1
        (line,) = subject.logged("a worker cannot be started")
        assert "/missing/python" in line["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_workers_become_another_user(tmp_path: Path) -> None:
    sleeping = ["/bin/sh", "-c", "exec sleep 1000"]
    with gateway(tmp_path, "port PORT", user="nobody", worker_command=sleeping, drain_timeout=0) as subject:
        for worker in wait_for(lambda: workers(subject, "sleep")):
            assert user_ids(worker) == {pwd.getpwnam("nobody").pw_uid}
    with gateway(tmp_path, "port PORT", user="no-such-user") as subject:
        assert subject.exit() == 1
        assert subject.logged("there is no user 'no-such-user'")


def workers(subject: Gateway, command: str) -> list[int]:
    """The process ids of both workers, once they run `command`."""
    assert subject.process is not None
    parent = subject.process.pid
    found = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    running = [pid for pid in found if Path(f"/proc/{pid}/comm").read_text().strip() == command]
    return running if len(running) == 2 else []


def user_ids(pid: int) -> set[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(word) for line in lines if line.startswith("Uid:") for word in line.split()[1:]}


def test_a_defect_of_the_plan_keeps_what_is_served(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", "route a") as subject:
        subject.ready()
        subject.write("crash")
        (line,) = wait_for(lambda: subject.logged("could not be planned"))
        assert "KeyError" in line["error"]
        assert subject.ask()["routes"] == ["a"]
        subject.write(f"port {subject.port}", "route b")
        wait_for(lambda: subject.ask()["routes"] == ["b"])


def test_a_worker_that_refuses_a_generation_keeps_the_old_and_takes_the_next(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", "route a") as subject:
        subject.ready()
        subject.write(f"port {subject.port}", "route refuse")
        wait_for(lambda: len(subject.logged("could not apply")) == 2)
        assert subject.ask()["routes"] == ["a"]
        assert orjson.loads(subject.get("/config")[1])["generation"] == 2
        wait_for(lambda: subject.get("/readyz")[0] == 503)
        victim = subject.pids()[0]
        os.kill(victim, signal.SIGKILL)  # its successor cannot take the newest either: it gets the last good one
        answer = wait_for(lambda: (answer := subject.ask())["worker"] == 0 and answer["pid"] != victim and answer)
        assert answer["routes"] == ["a"]
        subject.write(f"port {subject.port}", "route c")
        wait_for(lambda: subject.generation() == 3)
        assert subject.ask()["routes"] == ["c"]
        assert subject.get("/readyz")[0] == 200


def test_a_problem_is_logged_once_and_when_it_is_fixed(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", "bad words") as subject:
        subject.ready()
        subject.write(f"port {subject.port}", "bad words", "route a")
        wait_for(lambda: subject.generation() == 2)
        subject.write(f"port {subject.port}", "route a")
        wait_for(lambda: subject.logged("fixed: words"))
        assert len([line for line in subject.logged("words") if line["level"] == "error"]) == 1
        assert orjson.loads(subject.get("/status")[1])["problems"] == []


def test_a_worker_that_cannot_start_is_tried_again_ever_more_slowly(tmp_path: Path) -> None:
    with gateway(tmp_path, "port PORT", worker_command=["/bin/false"]) as subject:
        wait_for(lambda: len(subject.logged("a worker ended")) >= 6)
        assert subject.out == ""
        assert subject.get("/readyz")[0] == 503
        subject.signal(signal.SIGTERM)
        assert subject.exit() == 0


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False
