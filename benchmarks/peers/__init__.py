"""The proxies, each told the same `site.Site` in its own words. One module for each; `PEERS` is the list of them."""

from benchmarks.peers import caddy, envoy, gatewayd, haproxy, nginx, traefik
from benchmarks.peers.peer import Peer

GATEWAYD = gatewayd.PEER
PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (GATEWAYD, nginx.PEER, haproxy.PEER, envoy.PEER, traefik.PEER, caddy.PEER)
}
