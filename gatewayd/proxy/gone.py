"""What stands for the transport of a connection that is lost: holding the real one would make a cycle of the two, which
waits for the collector with all its buffers.
"""

from __future__ import annotations


class Gone:
    """Whatever is asked of it has happened."""

    def abort(self) -> None:
        """Nothing is left to cut."""

    close = write_eof = pause_reading = resume_reading = abort

    def write(self, data: bytes) -> None:
        """Nobody is there to read it."""

    def is_closing(self) -> bool:
        """It is closed."""
        return True

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def get_extra_info(self, name: str) -> None:
        """There is no socket any more."""

    def can_write_eof(self) -> bool:
        """Nothing can be written."""
        return False


GONE = Gone()
