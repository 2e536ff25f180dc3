"""Names of requests, and the form of what is logged: lines for people, or JSON for programs.

Every request has an id, its own or that of a trusted proxy in front. It goes back in `X-Request-ID`, stands in every
line that is logged while the request lasts, and is the reference that a visitor is told when something fails.
"""

from __future__ import annotations

import logging
import re
import secrets
from datetime import UTC, datetime

import msgspec
from flask import g, has_request_context, request

HEADER = "X-Request-ID"
_FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(name)s: %(message)s"
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id(*, trusted: bool = False) -> str:
    """Id of the request that is answered; one of its own for what is done outside of any.

    Parameters
    ----------
    trusted : bool
        Whether the header may name it; only the first call in a request is asked.
    """
    if not has_request_context():
        return secrets.token_hex(4)
    if "request_id" not in g:
        given = request.headers.get(HEADER, "") if trusted else ""
        g.request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
    known: str = g.request_id
    return known


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, request, whatever stands under `facts`, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if has_request_context():
            line["request"] = request_id()
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def configure_logging(form: str) -> None:
    """Log to standard error, from INFO on; `form` is "text" or "json"."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
