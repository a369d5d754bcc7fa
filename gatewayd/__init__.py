"""gatewayd runs Kubernetes Gateway API YAML without a cluster.

Six nouns carry the whole program:

Listener  one address, port, protocol and hostname on which a Gateway takes traffic.
Route     an HTTPRoute, GRPCRoute, TLSRoute or TCPRoute: rules that say which requests go to which backends.
Exchange  one request and its response on their way: it joins a downstream stream and an upstream stream.
Backend   a port of a Service or an XBackend, with the endpoints that serve it now and the connections kept to them.
Snapshot  everything that is served, of one generation: immutable data, made by the plan, replaced as a whole.
Worker    a process with its own event loop and listening sockets, one for each core, that serves a snapshot.

Two paths join them. Configuration: files -> api (objects) -> plan -> Snapshot and Status. Traffic: socket -> listener
-> TLS -> wire -> Exchange -> routing -> upstream. Every module lies on one of the two; the traffic path never imports
the configuration path. Start reading at `proxy/http1/downstream.py` (a request arrives) or `plan/build.py`
(objects become a snapshot).
"""

__version__ = "0.1.0"
