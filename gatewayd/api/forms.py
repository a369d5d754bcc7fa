"""How scalars are read where the schema asks for a type.

Each reader returns the value, or raises ValueError(message, hint).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from gatewayd.api.problem import printable
from gatewayd.api.quantity import whole
from gatewayd.api.scalars import YAML_BOOLEANS, Number, Word


def written(value: Any) -> str:
    """A value as an error message shows it; long ones are cut."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, Number):
        return f"the number {value.text}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"`{printable(value)}`" if len(value) <= 80 else f"`{printable(value[:77])}...`"
    return "a list" if isinstance(value, list) else "a mapping"


def text(value: Any) -> str:
    """Text. `no` and `on` without quotes are text here; 1 or `true` without quotes is an error, as in a cluster."""
    if type(value) is str:
        return value
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool | int):
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        raise ValueError(f"must be text, not {written(value)}", f'quote it: "{shown}"')  # noqa: TRY004
    hint = "remove the field or give it a value" if value is None else ""
    raise ValueError(f"must be text, not {written(value)}", hint)


def integer(value: Any) -> int:
    """A whole number, without quotes."""
    if type(value) is int:
        return value
    if isinstance(value, Number) and value.is_integer():
        return int(value)
    bare = isinstance(value, str) and value.isascii() and value.isdigit()
    hint = f"write {int(value[:18])}, without quotes and leading zeros" if bare else ""
    raise ValueError(f"must be a whole number, not {written(value)}", hint)


def boolean(value: Any) -> bool:
    """true or false, or another word that YAML 1.1 takes for one when it is not quoted."""
    if type(value) is bool:
        return value
    if isinstance(value, Word):
        return YAML_BOOLEANS[value]
    raise ValueError(f"must be true or false, not {written(value)}", "write true or false, without quotes")


def decoded(value: Any) -> bytes:
    """Base64 text, decoded; line breaks in it are allowed (encoding/base64 of Go)."""
    packed = text(value).replace("\n", "").replace("\r", "")
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64", "encode it, or put the text itself under `stringData`") from None


def quantity(value: Any) -> int:
    """A whole number of bytes, or a quantity such as `64Ki`."""
    if type(value) is int:
        return value
    try:
        return whole(text(value))
    except ValueError:
        raise ValueError(f"must be a quantity, not {written(value)}", "") from None


def cidr(value: Any) -> str:
    """A network; one address is a network of its own."""
    word = text(value)
    try:
        return str(ip_network(word))
    except ValueError as error:
        raise ValueError(f"must be a network in CIDR notation, not {written(word)} ({error})", "") from None


FORMS: dict[str, Callable[[Any], Any]] = {"quantity": quantity, "cidr": cidr}
