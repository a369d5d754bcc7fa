"""What the process asks of the operating system: descriptors, the user of the workers, how memory is handed out."""

from __future__ import annotations

import ctypes
import pwd
import resource

_M_ARENA_MAX = -8  # mallopt(3)


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one; the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS refuses an infinite limit
            return soft
    return hard


def share_one_heap() -> bool:
    """Let all threads take memory from one heap; False where the C library knows no such choice. Each thread of glibc
    would have a heap of its own, and what one reload freed there, the next one, in another thread, could not use. Only
    before the first thread is started, and only where threads wait for each other anyway.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    except (OSError, AttributeError):  # musl, macOS
        return False


def account(name: str | None) -> tuple[int | None, int | None]:
    """User and group id of a user's name; ValueError when there is none."""
    if name is None:
        return None, None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ValueError(f"there is no user {name!r} on this host") from None
    return entry.pw_uid, entry.pw_gid
