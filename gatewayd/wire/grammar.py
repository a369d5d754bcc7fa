r"""The grammar of HTTP/1.1 heads as regular expressions: one expression must match a whole head before it is split.

Only explicit byte ranges, and possessive quantifiers on them, so there is nothing to back-track into: time is linear.
Groups repeat greedily: before CPython 3.11.5 a possessive group loses its captures. `re` traps avoided on purpose: no
`.`, no `\s`, no `$`, no `int()` or `strip()` before the bytes were checked.
"""

from __future__ import annotations

import re

# RFC 9110 section 5.6.2: token characters, as the inside of a character class.
TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
TOKEN = rb"[" + TCHAR + rb"]++"
# RFC 9110 section 5.5: field content is VCHAR, SP, HTAB and obs-text; no CR, LF, NUL or other control.
VALUE = rb"[\t -~\x80-\xff]*+"
FIELD_LINE = rb"\r\n" + TOKEN + rb":" + VALUE

# RFC 9112 section 3. The target is printable ASCII without "#"; its form is judged in `target.py`.
REQUEST_LINE = rb"(" + TOKEN + rb") ([!\"$-~]++) HTTP/1\.([01])"
# The same for origin-form, the form of nearly every request: groups are method, path, query, minor version, fields.
# The path's characters are those of `path.py`, so that a path without escapes and dots is normal as it is. CONNECT has
# a form of its own, and answers that are framed by other rules.
ORIGIN_HEAD = re.compile(
    rb"(?!CONNECT )("
    + TOKEN
    + rb") (/[!$-;=@-\[\]-~]*+)(\?[!\"$-~]*+)? HTTP/1\.([01])((?:"
    + FIELD_LINE
    + rb")*)\r\n\r\n"
)
# Group 4 is the field section: every line is led by its CRLF, so lines can be cut out and joined without repair.
REQUEST_HEAD = re.compile(REQUEST_LINE + rb"((?:" + FIELD_LINE + rb")*)\r\n\r\n")
# RFC 9112 section 4. A reason phrase may be missing, and many servers leave out the space before it then.
RESPONSE_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: (" + VALUE + rb"))?((?:" + FIELD_LINE + rb")*)\r\n\r\n"
)
FIELDS = re.compile(rb"\r\n(" + TOKEN + rb"):[\t ]*+([^\r]*+)")
TRAILERS = re.compile(rb"((?:" + TOKEN + rb":" + VALUE + rb"\r\n)*)\r\n")

# What can never become part of a valid head, whatever follows: found early, a broken client need not time out.
BROKEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
VERSION_MAJOR = re.compile(TOKEN + rb" [^ \r\n]++ HTTP/([02-9])(?:\.[0-9])?")

# RFC 9112 section 7.1, with extensions allowed but not looked into, no white space before them.
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t -~]*+)?\r\n")
CHUNK_LINE_START = re.compile(rb"(?:[0-9A-Fa-f]{1,16}(?:;[\t -~]*+)?\r?+)?")

# RFC 9110 section 7.2 and RFC 3986 section 3.2: reg-name or IP literal, optional port, no userinfo.
# Neither a comma, which is how two Host fields look once they were joined, nor an escape, which a backend may decode.
AUTHORITY = re.compile(rb"([0-9A-Za-z.\-_~!$&'()*;=]{1,255}+|\[[0-9A-Fa-f:.]{2,45}+\])(?::([0-9]{1,5})?)?")
OPTION_LIST = re.compile(rb"[\t ,]*+" + TOKEN + rb"(?:[\t ]*+,[\t ,]*+" + TOKEN + rb")*[\t ,]*+")


def _names(names: str) -> bytes:
    """An alternation of field names, factored by what they share: most other names fail at their first letter.
    A dash also matches an underscore: some backends take one for the other.
    """
    first = sorted({name[0] for name in names.split()})
    classes = "".join(first) + "".join(first).upper()
    return b"(?=[%b])((?i:%b))" % (classes.encode(), _factored(sorted(names.split())))


def _factored(names: list[str]) -> bytes:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name[:1], []).append(name[1:])
    parts = []
    for letter, rests in groups.items():
        rest = _factored(rests) if any(rests) else b""
        if b"|" in rest:
            rest = b"(?:%b)" % rest
        parts.append((b"[-_]" if letter == "-" else letter.encode()) + rest)
    return b"|".join(parts)


# A value without the white space around it; the look-ahead keeps inner white space in.
_TRIMMED = rb":[\t ]*+((?:[^\r\t ]++(?:[\t ]++(?=[^\r\t ]))?)*)[\t ]*+"

# Fields that are never passed through as they came: framing, connection options, the host, and what tells a backend
# about the client. Split by this, the pieces at 0, 3, 6 ... are the lines to forward. `(?i:)` on the names alone keeps
# the two bytes CRLF a literal prefix, which makes the search three times faster.
REQUEST_SPECIALS = re.compile(
    rb"\r\n"
    + _names(
        "host connection content-length transfer-encoding expect upgrade te trailer keep-alive proxy-connection"
        " proxy-authorization http2-settings forwarded x-forwarded-for x-forwarded-host x-forwarded-proto"
        " x-forwarded-port x-forwarded-server x-forwarded-prefix x-forwarded-ssl x-real-ip x-request-id"
    )
    + _TRIMMED
)
RESPONSE_SPECIALS = re.compile(
    rb"\r\n"
    + _names("connection content-length transfer-encoding upgrade trailer keep-alive proxy-connection te")
    + _TRIMMED
)
