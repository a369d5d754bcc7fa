"""What both ends of HPACK start with (RFC 7541 appendix A, RFC 9113 section 6.5.2), decoder and encoder alike."""

from __future__ import annotations

Field = tuple[bytes, bytes]

# Appendix A, from index 1 on.
STATIC_TABLE: tuple[Field, ...] = tuple(
    (name, value)
    for name, _, value in (
        line.partition(b" ")
        for line in b""":authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate""".split(b"\n")
    )
)

# The table that either side starts with (RFC 9113 section 6.5.2), and what an entry counts beside its text.
DEFAULT_TABLE = 4096
ENTRY_OVERHEAD = 32
