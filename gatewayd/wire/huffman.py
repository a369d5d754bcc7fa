"""The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B), decoding only.

Nothing is encoded with it: in Python it costs twenty times what a raw literal costs, and saves a quarter of the bytes.

Decoding is a state machine that takes a byte at a time. A state is a node of the code's tree, its transitions a list
that is filled on use from two steps of four bits, so a worker holds only those that its clients' text needs.
"""

from __future__ import annotations

from typing import Any

# The code is canonical: the symbols in the order of their codes, by length of code, say all of appendix B. 256 is EOS.
_LENGTHS: dict[int, str] = {
    5: "48 49 50 97 99 101 105 111 115 116",
    6: "32 37 45 46 47 51 52 53 54 55 56 57 61 65 95 98 100 102 103 104 108 109 110 112 114 117",
    7: "58 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 89 106 107 113 118 119 120 121 122",
    8: "38 42 44 59 88 90",
    10: "33 34 40 41 63",
    11: "39 43 124",
    12: "35 62",
    13: "0 36 64 91 93 126",
    14: "94 125",
    15: "60 96 123",
    19: "92 195 208",
    20: "128 130 131 162 184 194 224 226",
    21: "153 161 167 172 176 177 179 209 216 217 227 229 230",
    22: "129 132 133 134 136 146 154 156 160 163 164 169 170 173 178 181 185 186 187 189 190 196 198 228 232 233",
    23: "1 135 137 138 139 140 141 143 147 149 150 151 152 155 157 158 165 166 168 174 175 180 182 183 188 191 197 231"
    " 239",
    24: "9 142 144 145 148 159 171 206 215 225 236 237",
    25: "199 207 234 235",
    26: "192 193 200 201 202 205 210 213 218 219 238 240 242 243 255",
    27: "203 204 211 212 214 221 222 223 241 244 245 246 247 248 250 251 252 253 254",
    28: "2 3 4 5 6 7 8 11 12 14 15 16 17 18 19 20 21 23 24 25 26 27 28 29 30 31 127 220 249",
    30: "10 13 22 256",
}
_EOS = 256

# Transitions of bytes that are kept, of 65,536 that a client could have made: about 3 MB.
_MAX_KEPT = 16384


class HuffmanError(ValueError):
    """A string that is not the code of anything: EOS in it, or padding that is too long or not of ones."""


# What a byte does in a state: (the steps of the next state, the text that was completed on the way). The steps of a
# state are a list, by byte, of those that were needed so far; behind them comes the state itself.
_Steps = list[Any]


class _State:
    """A node of the tree. `four` are its steps for four bits, None where EOS lies on the way; `final` says whether a
    string may end here (section 5.2: fewer than eight bits of padding, all ones). `steps` is empty at first.
    """

    __slots__ = ("branches", "final", "four", "steps")

    branches: list[_State | int | None]
    final: bool
    four: list[tuple[_State, bytes] | None]
    steps: _Steps


def _step(state: _State, byte: int) -> tuple[_Steps, bytes]:
    """A step that is not kept yet. HuffmanError."""
    half = state.four[byte >> 4]
    last = None if half is None else half[0].four[byte & 15]
    if half is None or last is None:
        raise HuffmanError("end of string inside a string")
    found = _steps(last[0]), half[1] + last[1]
    if _kept[0] < _MAX_KEPT:
        _kept[0] += 1
        state.steps[byte] = found
    return found


def _steps(state: _State) -> _Steps:
    """The steps of a state, made when it is reached first."""
    if not state.steps:
        state.steps = [None] * 256 + [state]
    return state.steps


_kept = [0]


def _new_state(states: list[_State]) -> _State:
    state = _State()
    state.branches = [None, None]
    state.final = False
    state.steps = []
    states.append(state)
    return state


def _tree() -> list[_State]:
    """All states, the root first."""
    states: list[_State] = []
    root = _new_state(states)
    code = width = 0
    for length, symbols in _LENGTHS.items():
        for symbol in map(int, symbols.split()):
            code <<= length - width
            width = length
            state = root
            for place in range(length - 1, 0, -1):
                branch = state.branches[code >> place & 1]
                if not isinstance(branch, _State):
                    branch = state.branches[code >> place & 1] = _new_state(states)
                state = branch
            state.branches[code & 1] = symbol
            code += 1
    return states


def _walk(root: _State, state: _State, bits: int) -> tuple[_State, bytes] | None:
    text = bytearray()
    for place in (3, 2, 1, 0):
        branch = state.branches[bits >> place & 1]
        if isinstance(branch, _State):
            state = branch
        elif branch is None or branch == _EOS:
            return None
        else:
            text.append(branch)
            state = root
    return state, bytes(text)


def _machine() -> _State:
    states = _tree()
    root = states[0]
    for state in states:
        state.four = [_walk(root, state, bits) for bits in range(16)]
    state = root
    for _ in range(8):
        state.final = True
        branch = state.branches[1]
        assert isinstance(branch, _State)  # noqa: S101  eight ones are the begin of longer codes only
        state = branch
    return root


_ROOT = _steps(_machine())


# `bytes.join` takes 80 octets for each part while it works: longer texts grow in one array.
_LONG = 1024


def decode(data: bytes) -> bytes:
    """The text of `data`. HuffmanError (a compression error of the connection)."""
    if len(data) > _LONG:
        return _decode_long(data)
    steps = _ROOT
    parts = []
    for byte in data:
        steps, text = steps[byte] or _step(steps[256], byte)
        parts.append(text)
    if not steps[256].final:
        raise HuffmanError("bad padding")
    return b"".join(parts)


def _decode_long(data: bytes) -> bytes:
    steps = _ROOT
    found = bytearray()
    for byte in data:
        steps, text = steps[byte] or _step(steps[256], byte)
        found += text
    if not steps[256].final:
        raise HuffmanError("bad padding")
    return bytes(found)
