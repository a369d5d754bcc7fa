"""Memory pressure: what is given up at each step, and taken up again afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewayd.proxy.pressure import Pressure, group_reader
from tests.proxy.conversation import GET, OK, Conversation


def press(talk: Conversation, level: float) -> None:
    """The memory is this full from the next sweep on."""
    talk.runtime.pressure = Pressure(lambda: level)
    talk.passes(0.5)


def exhausted(talk: Conversation) -> bool:
    """Whether the worker would give its place to a new one."""
    return talk.runtime.exhausted


def test_without_a_limit_nothing_is_shed(tmp_path: Path) -> None:
    assert group_reader(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.stat").write_text("anon 1\n")
    assert group_reader(tmp_path) is None


def test_the_level_is_what_the_kernel_cannot_take_back(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 300\nfile 600\nkernel 100\nsock 50\nshmem 50\nworkingset 9\n")
    pressure = Pressure(group_reader(tmp_path))
    pressure.sweep()
    assert pressure.level == pytest.approx(0.5)


OLD = """cache 1
total_inactive_file 300
total_active_file 200
hierarchical_memory_limit %d
hierarchical_memsw_limit 9223372036854771712
"""


def old_group(folder: Path, limit: int, used: int) -> Path:
    """A control group of version 1."""
    group = folder / "memory"
    group.mkdir(exist_ok=True)
    (group / "memory.stat").write_text(OLD % limit)
    (group / "memory.usage_in_bytes").write_text(f"{used}\n")
    return folder


def test_cgroup_v1_is_known_too(tmp_path: Path) -> None:
    pressure = Pressure(group_reader(old_group(tmp_path, 1000, 900)))
    pressure.sweep()
    assert pressure.level == pytest.approx(0.4)
    old_group(tmp_path, 1000, 1400)
    pressure.sweep()
    assert pressure.level == pytest.approx(0.9)
    old_group(tmp_path, 1000, 100)
    pressure.sweep()
    assert pressure.level == 0.0


def test_a_group_of_v1_without_a_limit_sheds_nothing(tmp_path: Path) -> None:
    assert group_reader(old_group(tmp_path, 9223372036854771712, 900)) is None
    (tmp_path / "memory" / "memory.stat").write_text("cache 1\n")
    assert group_reader(tmp_path) is None


def test_first_idle_connections_go(talk: Conversation) -> None:
    client, backend = talk.exchange()
    assert client.state == "open"
    press(talk, 0.86)
    assert client.state != "open"
    other = talk.client()
    other.sends(GET)
    backend.sends(OK)
    assert b"connection: close" in other.takes()


def test_then_new_requests_are_answered_503(talk: Conversation) -> None:
    press(talk, 0.93)
    client = talk.client()
    client.sends(GET)
    assert client.takes().startswith(b"HTTP/1.1 503 ")
    assert (talk.line["reason"], talk.asks) == ("overload", 0)
    press(talk, 0.5)
    client = talk.client()
    client.sends(GET)
    assert talk.asks == 1


def test_then_no_connection_is_taken_and_at_last_the_worker_goes(talk: Conversation) -> None:
    press(talk, 0.96)
    assert talk.runtime.admission.full()
    assert not exhausted(talk)
    press(talk, 0.99)
    assert exhausted(talk)
    press(talk, 0.5)
    assert not talk.runtime.admission.full()
