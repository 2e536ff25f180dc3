"""Bounds on how long a PostgreSQL is waited for, whatever is asked of it."""

from __future__ import annotations

SILENT_S = 10


def bounded_connection(connect_s: int) -> dict[str, int]:
    """Arguments of a connection (libpq's) that breaks where the server's machine, or the network before it, is silent.

    Parameters
    ----------
    connect_s : int
        Patience until it is open.
    """
    return {
        "connect_timeout": connect_s,
        # Without these a machine that vanished is waited for as long as TCP does, a quarter of an hour and longer.
        "keepalives_idle": SILENT_S // 2,
        "keepalives_interval": 1,
        "keepalives_count": SILENT_S - SILENT_S // 2,
        "tcp_user_timeout": 1000 * SILENT_S,
    }
