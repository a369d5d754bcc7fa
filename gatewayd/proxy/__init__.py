"""The sockets' side of the traffic path: one protocol for each kind of connection, and the Exchange between two."""
