"""Deadlines: whatever has a `deadline` and an `expire(now)` is looked at by the sweep of its `Runtime`."""

NEVER = float("inf")  # the deadline of what waits for nothing
