"""Wire formats: bytes in, records out, or `Refused`. Pure: no sockets, no clock, nothing else of ours."""
