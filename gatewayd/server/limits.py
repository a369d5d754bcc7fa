"""What the process asks of the operating system: descriptors, the user of the workers."""

from __future__ import annotations

import pwd
import resource


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one; the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS refuses an infinite limit
            return soft
    return hard


def account(name: str | None) -> tuple[int | None, int | None]:
    """User and group id of a user's name; ValueError when there is none."""
    if name is None:
        return None, None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ValueError(f"there is no user {name!r} on this host") from None
    return entry.pw_uid, entry.pw_gid
