"""What stands for the transport of a connection that is lost.

uvloop's TLS keeps the bound methods of a buffered protocol: were the transport still held there, each connection would
be a cycle of 40 kB that waits for the collector.
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

    def get_extra_info(self, name: str) -> None:
        """There is no socket any more."""

    def can_write_eof(self) -> bool:
        """Nothing can be written."""
        return False


GONE = Gone()
