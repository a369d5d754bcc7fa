"""gatewayd beside nginx, HAProxy, Envoy, Traefik and Caddy: one worker each, on one core, the same work.

Read in this order: `site` (what every proxy is told to serve), `peers/` (how each is told), `workloads` (what is
sent), `driver` (who runs when), `measure` (what is read from the kernel), `report` (how it is shown). `client` and
`backend` are the small programs at the two ends where wrk and nginx do not fit or are not installed, `greeter` is the
gRPC server, `http2` asks one question before `h2load` asks many; `micro` times pure functions. `experiments` is what is
no load: memory for idle connections and large bodies, starts, reloads; `estate` writes the files for the last two.

    core 0: load generator and backend          core 1: the proxy that is measured
"""
