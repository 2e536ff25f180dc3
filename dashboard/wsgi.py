"""What gunicorn serves: `gunicorn dashboard.wsgi:server`. Settings come from the environment."""

from __future__ import annotations

from dashboard.app import create_app
from dashboard.settings import load

server = create_app(settings=load()).server
