"""All objects of some documents at once."""

from __future__ import annotations

from collections.abc import Iterable

from gatewayd.api.decode import decode, expand, once_a_kind
from gatewayd.api.documents import Document
from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem


def decode_all(documents: Iterable[Document]) -> tuple[list[Object], list[Problem]]:
    """Decode many documents: Lists are expanded, and an unknown kind is reported once."""
    objects: list[Object] = []
    problems: list[Problem] = []
    for document in documents:
        for each in expand(document):
            item, found = decode(each)
            problems += found
            if item is not None:
                objects.append(item)
    return objects, once_a_kind(problems)
