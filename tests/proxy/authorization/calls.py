"""A service of authorization that speaks Envoy's protocol, a rule that asks it, and what it says."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse
from google.rpc.status_pb2 import Status

from gatewayd.routing.snapshot import AuthPlan, Filters
from gatewayd.wire import grpc
from tests.proxy.authorization.service import PLACES
from tests.proxy.conversation import GET, Client, Conversation, Start, rule
from tests.proxy.peers import Backend2

CALL = ("content-type", "application/grpc")
YES = CheckResponse(status=Status(code=0))
NO = CheckResponse(status=Status(code=7))


def guarded(start: Start, **plan: Any) -> Conversation:
    filters = Filters(auth=AuthPlan("auth", grpc=True, authority=b"auth.default", **plan))
    return start(rule(filters=filters), endpoints=PLACES, protocols={"auth": "h2c"})


class Service(Backend2):
    """The service, once the gateway has connected."""

    def asked(self, stream: int = 1) -> Any:
        """What it is asked on a stream."""
        self.settle()
        found = self.messages[stream]
        assert found.ended
        assert found.start == (b"POST", b"/envoy.service.auth.v3.Authorization/Check", b"auth.default")
        assert (found.fields[b"content-type"], found.fields[b"te"]) == (b"application/grpc", b"trailers")
        data = grpc.only_message(found.body)
        assert data is not None
        return CheckRequest.FromString(data).attributes

    def says(self, answer: CheckResponse | bytes, stream: int = 1, status: str = "0") -> None:
        """Answer as servers do: head, one message, trailers."""
        data = answer if isinstance(answer, bytes) else grpc.frame(answer.SerializeToString())
        self.answers(stream, 200, CALL, end=False)
        self.sends(stream, data)
        self.trails(stream, [(b"grpc-status", status.encode())])


def asked(talk: Conversation, request: bytes = GET) -> tuple[Client, Service]:
    client = talk.client()
    client.sends(request)
    return client, Service(talk.backend())


def option(name: str, value: str, **more: Any) -> HeaderValueOption:
    return HeaderValueOption(header=HeaderValue(key=name, value=value), **more)


def allows(**fields: Any) -> CheckResponse:
    return CheckResponse(status=Status(code=0), ok_response=OkHttpResponse(**fields))


def denies(**fields: Any) -> CheckResponse:
    return CheckResponse(status=Status(code=7), denied_response=DeniedHttpResponse(**fields))
