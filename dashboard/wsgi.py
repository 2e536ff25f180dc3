"""Application for gunicorn: `gunicorn dashboard.wsgi:server`. Settings come from the environment."""

from __future__ import annotations

from .app import create_app
from .settings import load

server = create_app(settings=load(), watch=True).server
