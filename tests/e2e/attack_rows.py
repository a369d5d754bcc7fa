"""Messages of attackers: those that are refused, and those that are served in a form that does no harm."""

from __future__ import annotations

CHUNKED = "Transfer-Encoding: chunked"
FIVE = "Content-Length: 5"
KEPT = "Connection: keep-alive"
UPGRADE = ("Connection: upgrade", "Upgrade: websocket")
H2C = ("Upgrade: h2c", "HTTP2-Settings: AAMA")
SPOOFED = ("X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6")
GET, POST = b"GET /attack HTTP/1.1\r\n", b"POST /attack HTTP/1.1\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
TOLD = "1\r\na\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n\r\n"


def get(*fields: str, target: str = "/attack", host: str | None = "a", version: str = "HTTP/1.1") -> bytes:
    lines = [f"GET {target} {version}", *([] if host is None else [f"Host: {host}"]), *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(*fields: str, body: str = "", version: str = "HTTP/1.1") -> bytes:
    lines = [f"POST /attack {version}", "Host: a", *fields, "", body]
    return "\r\n".join(lines).encode("latin-1")


def coding(value: str, **more: str) -> bytes:
    return post(f"Transfer-Encoding: {value}", body="0\r\n\r\n", **more)


def length(*values: str) -> bytes:
    return post(*(f"Content-Length: {value}" for value in values), body="xxxxx")


def chunks(body: str) -> bytes:
    return post(CHUNKED, body=body)


# Answered with this status and closed: (name, section of RFC 9112 or, with an H, of RFC 9110, bytes, status).
REFUSED: list[tuple[str, str, bytes, int]] = [
    ("CL.TE", "6.1", post("Content-Length: 6", CHUNKED, body="0\r\n\r\nG"), 400),
    ("TE.CL", "6.1", post(CHUNKED, "Content-Length: 3", body="8\r\nSMUGGLED\r\n0\r\n\r\n"), 400),
    ("TE twice", "6.1", post(CHUNKED, CHUNKED, body="0\r\n\r\n"), 400),
    ("TE and identity", "6.1", post(CHUNKED, "Transfer-Encoding: identity", body="0\r\n\r\n"), 400),
    ("TE list", "6.1", coding("gzip, chunked"), 400),
    ("TE chunked first", "6.1", coding("chunked, identity"), 400),
    ("TE empty member", "6.1", coding("chunked,"), 400),
    ("TE leading comma", "6.1", coding(", chunked"), 400),
    ("TE unknown", "6.1", coding("gzip"), 501),
    ("TE identity", "6.1", coding("identity"), 501),
    ("TE prefix", "6.1", coding("xchunked"), 400),
    ("TE parameter", "6.1", coding("chunked;q=1"), 400),
    ("TE quoted", "6.1", coding('"chunked"'), 400),
    ("TE no-break space", "6.1", coding("\xa0chunked"), 400),
    ("TE next line", "6.1", coding("chunked\x85"), 400),
    ("TE vertical tab", "6.1", coding("\x0bchunked"), 400),
    ("TE form feed", "6.1", coding("chunked\x0c"), 400),
    ("TE NUL", "6.1", coding("chunked\0"), 400),
    ("TE empty", "6.1", coding(""), 400),
    ("TE folded", "5.2", coding("\r\n chunked"), 400),
    ("TE space before colon", "5.1", post("Transfer-Encoding : chunked", body="0\r\n\r\n"), 400),
    ("TE in HTTP/1.0", "6.1", coding("chunked", version="HTTP/1.0"), 400),
    ("CL twice", "6.3", length("5", "6"), 400),
    ("CL twice, equal", "6.3", length("5", "5"), 400),
    ("CL list", "6.3", length("5, 5"), 400),
    ("CL plus", "6.3", length("+5"), 400),
    ("CL minus", "6.3", length("-5"), 400),
    ("CL hexadecimal", "6.3", length("0x5"), 400),
    ("CL underscore", "6.3", length("0_5"), 400),
    ("CL empty", "6.3", length(""), 400),
    ("CL two words", "6.3", length("5 5"), 400),
    ("CL fraction", "6.3", length("5.0"), 400),
    ("CL exponent", "6.3", length("5e0"), 400),
    ("CL 2^64", "6.3", length("18446744073709551621"), 400),
    ("CL superscript", "6.3", length("\xb2"), 400),
    ("CL vertical tab", "6.3", length("5\x0b"), 400),
    ("CL file separator", "6.3", length("\x1c5"), 400),
    ("chunk 0x", "7.1", chunks("0x5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk plus", "7.1", chunks("+5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk minus", "7.1", chunks("-5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk underscore", "7.1", chunks("0_5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk empty", "7.1", chunks("\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk leading space", "7.1", chunks(" 5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk trailing space", "7.1", chunks("5 \r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk trailing tab", "7.1", chunks("5\t\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk 17 digits", "7.1", chunks("00000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk overflow", "7.1", chunks("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk LF after size", "7.1", chunks("5\nhello\r\n0\r\n\r\n"), 400),
    ("chunk CR after size", "7.1", chunks("5\rhello\r\n0\r\n\r\n"), 400),
    ("chunk LF after data", "7.1", chunks("5\r\nhello\n0\r\n\r\n"), 400),
    ("chunk wrong bytes after data", "7.1", chunks("5\r\nhelloXX0\r\n\r\n"), 400),
    ("chunk nothing after data", "7.1", chunks("5\r\nhello0\r\n\r\n"), 400),
    ("TERM.EXT: LF ends the extension", "7.1.1", chunks("5;a\nhello\r\n0\r\n\r\n"), 400),
    ("EXT.TERM: LF in the extension", "7.1.1", chunks("5;\nxx;\r\nhello\r\n0\r\n\r\n"), 400),
    ("EXT: CR in the extension", "7.1.1", chunks("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
    ("EXT: NUL in the extension", "7.1.1", chunks("5;a\0\r\nhello\r\n0\r\n\r\n"), 400),
    ("EXT: long", "7.1.1", chunks("5;" + "a" * 300 + "\r\nhello\r\n0\r\n\r\n"), 413),
    ("EXT: long, endless", "7.1.1", chunks("5;" + "a" * 20_000), 413),
    ("EXT: many", "7.1.1", chunks(("1;" + "a" * 200 + "\r\nx\r\n") * 90 + "0\r\n\r\n"), 413),
    ("trailer folded", "7.1.2", chunks("0\r\nA: b\r\n c\r\n\r\n"), 400),
    ("trailer LF", "7.1.2", chunks("0\r\nA: b\n\r\n"), 400),
    ("trailer no colon", "7.1.2", chunks("0\r\nabc\r\n\r\n"), 400),
    ("trailers large", "7.1.2", chunks("0\r\nA: " + "b" * 9000 + "\r\n\r\n"), 431),
    ("trailers endless", "7.1.2", chunks("0\r\n" + "A: b\r\n" * 2000), 431),
    ("LF line ends", "2.2", b"GET /attack HTTP/1.1\nHost: a\n\n", 400),
    ("LF after the request line", "2.2", b"GET /attack HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("LF after a field", "2.2", b"GET /attack HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("LF at the end", "2.2", b"GET /attack HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("CR line ends", "2.2", b"GET /attack HTTP/1.1\rHost: a\r\r", 400),
    ("CR in a value", "2.2", get("X: a\rb"), 400),
    ("CR before CRLF", "2.2", get("X: a\r"), 400),
    ("NUL in a value", "H5.5", get("X: a\0b"), 400),
    ("control byte in a value", "H5.5", get("X: a\x1bb"), 400),
    ("DEL in a value", "H5.5", get("X: a\x7fb"), 400),
    ("NUL in a name", "5.1", get("X\0: a"), 400),
    ("folded", "5.2", get("X: a", " b"), 400),
    ("folded with a tab", "5.2", get("X: a", "\tb"), 400),
    ("folded first", "5.2", b"GET /attack HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 400),
    ("space before colon", "5.1", get("X : a"), 400),
    ("tab before colon", "5.1", get("X\t: a"), 400),
    ("space in a name", "5.1", get("X Y: a"), 400),
    ("empty name", "5.1", get(": a"), 400),
    ("no colon", "5.1", get("X"), 400),
    ("name not a token", "5.1", get("X(y): a"), 400),
    ("name not ASCII", "5.1", get("X\xe4: a"), 400),
    ("HTTP/0.9", "2.3", b"GET /attack\r\n\r\n", 400),
    ("HTTP/1.10", "2.3", get(version="HTTP/1.10"), 400),
    ("HTTP/1.2", "2.3", get(version="HTTP/1.2"), 400),
    ("HTTP/01.1", "2.3", get(version="HTTP/01.1"), 400),
    ("lower case version", "2.3", get(version="http/1.1"), 400),
    ("no digits", "2.3", get(version="HTTP/x"), 400),
    ("HTTP/2.0", "H15.6.6", get(version="HTTP/2.0"), 505),
    ("two spaces", "3", b"GET  /attack HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("tab for space", "3", b"GET\t/attack HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space at the end of the line", "3", b"GET /attack HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("two empty lines first", "2.2", b"\r\n\r\nGET /attack HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("empty line, then LF", "2.2", b"\r\n\n" + get(), 400),
    ("empty line, then CR", "2.2", b"\r\n\r" + get(), 400),
    ("empty line, then a space", "2.2", b"\r\n " + get(), 400),
    ("empty line, then the preface of HTTP/2", "H15.6.6", b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("TE and no Host in HTTP/1.0", "6.1", get(CHUNKED, host=None, version="HTTP/1.0"), 400),
    ("bare LF first", "2.2", b"\nGET /attack HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("method not a token", "3.1", b"G\xc9T /attack HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("TLS on a clear port", "3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
    ("Upgrade with a length", "H7.8", post(*UPGRADE, FIVE, body="hello"), 400),
    ("Upgrade with chunks", "H7.8", post(*UPGRADE, CHUNKED, body="0\r\n\r\n"), 400),
    ("CONNECT", "3.2.3", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
    ("Expect", "H10.1.1", post("Expect: 200-ok", FIVE, body="hello"), 417),
    # limits
    ("line too long", "3", get(target="/attack" + "x" * 17_000), 414),
    ("line endless", "3", b"GET /attack" + b"x" * 100_000, 414),
    ("head too large", "H5.4", get(*(f"X-{number}: {'y' * 1000}" for number in range(70))), 431),
    ("head endless", "H5.4", get()[:-2] + b"X: " + b"y" * 100_000, 431),
    ("field too large", "H5.4", get("X: " + "y" * 66_000), 431),
    ("too many fields", "H5.4", get(*(f"X-{number}: y" for number in range(100))), 431),
    # what a request is for
    ("path NUL", "H7.1", get(target="/attack%00"), 400),
    ("path backslash", "H7.1", get(target="/attack\\..\\x"), 400),
    ("path encoded backslash", "H7.1", get(target="/attack%5c..%5Cx"), 400),
    ("path dots with a parameter", "H7.1", get(target="/attack/..;/x"), 400),
    ("path dots beside an encoded slash", "H7.1", get(target="/attack/..%2fx"), 400),
    ("path bad escape", "H7.1", get(target="/attack%zz"), 400),
    ("path half an escape", "H7.1", get(target="/attack%2"), 400),
    ("path not ASCII", "3.2", get(target="/attack\xe4"), 400),
    ("path with a quote", "3.2", get(target='/attack"'), 400),
    ("fragment", "3.2", get(target="/attack#x"), 400),
    ("relative", "3.2", get(target="attack"), 400),
    ("asterisk for GET", "3.2.4", get(target="*"), 400),
    ("other scheme", "3.2.2", get(target="ftp://a/attack"), 400),
    ("absolute with userinfo", "3.2.2", get(target="http://u:p@a/attack"), 400),
    ("absolute without host", "3.2.2", get(target="http:///attack"), 400),
    ("no Host", "3.2", get(host=None), 400),
    ("empty Host in HTTP/1.0", "3.2", get(host="", version="HTTP/1.0"), 400),
    ("Host twice", "3.2", get("Host: b"), 400),
    ("Host twice, equal", "3.2", get("Host: a"), 400),
    ("Host list", "3.2", get(host="a, b"), 400),
    ("Host list without space", "3.2", get(host="a,b"), 400),
    ("Host empty", "3.2", get(host=""), 400),
    ("Host with userinfo", "3.2", get(host="u@a"), 400),
    ("Host with a path", "3.2", get(host="a/b"), 400),
    ("Host with a space", "3.2", get(host="a b"), 400),
    ("Host with a bad port", "3.2", get(host="a:b"), 400),
    ("Host with a large port", "3.2", get(host="a:65536"), 400),
    ("Host with a NUL", "3.2", get(host="a\0b"), 400),
    ("Host bad address", "3.2", get(host="[::1"), 400),
    ("Connection: Host", "H7.6.1", get("Connection: Host"), 400),
    ("Connection: Content-Length", "H7.6.1", post("Connection: content-length", FIVE, body="hello"), 400),
    ("Connection: Transfer-Encoding", "H7.6.1", post("Connection: Transfer-Encoding", CHUNKED, body="0\r\n\r\n"), 400),
]  # fmt: skip

# Served: (name, bytes, the start of what the backend gets, what it must not get).
HARMLESS: list[tuple[str, bytes, bytes, list[bytes]]] = [
    ("TE look-alike", post("Transfer_Encoding: chunked", FIVE, body="abcde"), POST, [b"chunked"]),
    ("upper case Chunked", coding("CHUNKED"), POST, [b"CHUNKED"]),
    ("chunk extension", chunks("1;x=y\r\na\r\n0\r\n\r\n"), POST, [b"x=y"]),
    ("framing trailers", chunks("1\r\na\r\n0\r\nContent-Length: 9\r\nX: y\r\n\r\n"), POST, [b"Length: 9", b"X: y"]),
    ("h2c", get("Connection: Upgrade, HTTP2-Settings", *H2C), GET, [b"h2c", b"AAMA"]),
    ("HTTP2-Settings alone", get("HTTP2-Settings: AAMA"), GET, [b"AAMA"]),
    ("dot segments", get(target="/x/../attack"), GET, [b".."]),
    ("encoded dot segments", get(target="/x/%2e%2E/attack"), GET, [b"%2"]),
    ("encoded letters", get(target="/%61ttack"), GET, [b"%61"]),
    ("encoded slash", get(target="/attack%2Fx"), b"GET /attack%2Fx HTTP/1.1\r\n", []),
    ("two slashes", get(target="//attack"), b"GET //attack HTTP/1.1\r\n", []),
    ("trailers that say who asks", post(CHUNKED, "Trailer: X-Forwarded-For, X_Real_IP", body=TOLD), POST, [b"6.6.6.6"]),
    ("absolute form wins", get(target="http://b/attack"), b"GET /attack HTTP/1.1\r\nhost: b\r\n", [b"host: a\r"]),
    ("empty line first", b"\r\n" + get(), GET, [b"\r\n\r\n\r\n"]),
    ("empty line, no Host in HTTP/1.0", b"\r\n" + get(KEPT, host=None, version="HTTP/1.0"), GET, [b"\r\n\r\n\r\n"]),
    ("no Host in HTTP/1.0", get(KEPT, host=None, version="HTTP/1.0"), GET + b"host: 127.0.0.1:", []),
    ("spoofed address", get(*SPOOFED), GET, [b"6.6.6.6"]),
    ("address removed by Connection", get("Connection: X-Forwarded-For"), GET, [b"Connection"]),
    ("100 fields", get(*(f"X-{number}: y" for number in range(99))), GET, []),
]  # fmt: skip
