"""The supervisor and its workers: processes, listening sockets, reload, drain."""
