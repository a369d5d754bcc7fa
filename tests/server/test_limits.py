from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Four threads hold memory at the same time; glibc then tells of each heap that it made for them.
HOLD = """
import ctypes, threading
from gatewayd.server.limits import share_one_heap
if {shared}:
    assert share_one_heap()
all_hold = threading.Barrier(4)
def hold():
    block = bytearray(50_000)
    all_hold.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have one heap or no choice")
@pytest.mark.parametrize("shared", [True, False])
def test_threads_share_one_heap(shared: bool):
    command = [sys.executable, "-c", HOLD.format(shared=shared)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stderr.count("Arena ") == 1) == shared, done.stderr
