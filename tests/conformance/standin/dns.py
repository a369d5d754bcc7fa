"""Stands for the CoreDNS image: answers each question over UDP with no records. Binds POD_IP."""

from __future__ import annotations

import os
import socket

PORT = 53
QR_RA = 0x8080


def reply(query: bytes) -> bytes | None:
    """The header of the query made a response, with its question (RFC 1035, 4.1); None for what is no query."""
    if len(query) < 12 or query[2] & 0x80 or query[4:6] != b"\0\1":
        return None
    end = query.find(b"\0", 12) + 5
    flags = (int.from_bytes(query[2:4], "big") & 0x7910) | QR_RA
    return query[:2] + flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0\0" + query[12:end]


def main() -> None:
    """Serve until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((os.environ["POD_IP"], PORT))
        print(f"dns on port {PORT}", flush=True)
        while True:
            query, client = server.recvfrom(4096)
            answer = reply(query)
            if answer is not None:
                server.sendto(answer, client)


if __name__ == "__main__":
    main()
