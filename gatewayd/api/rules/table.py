"""All rules, by the record they are about."""

from __future__ import annotations

from gatewayd.api.record import Record
from gatewayd.api.rules import backends, core, filters, gateways, routes
from gatewayd.api.rules.rule import Rule

TABLES = (gateways.RULES, filters.RULES, routes.RULES, backends.RULES, core.RULES)

# Rules of TCPRoute, UDPRoute and TLSRoute that came with v1; v1alpha2 has them not.
LATER = {"v1": routes.V1_ONLY, "v1alpha3": routes.V1_ONLY}


def rules_of(record: type[Record], version: str) -> tuple[Rule, ...]:
    """The rules of a record and of the records it extends, in a version of the API.

    That `controllerName` is immutable is no rule here: in files a change stands for deleting and creating.
    """
    tables = (*TABLES, LATER.get(version, {}))
    parents = [parent for parent in reversed(record.__mro__) if issubclass(parent, Record)]
    return tuple(rule for parent in parents for table in tables for rule in table.get(parent, ()))
