"""`gunicorn dashboard.wsgi:server` reads this; every choice is made and explained in `dashboard.serve`."""

from dashboard.serve import gunicorn_options
from dashboard.settings import load

globals().update(gunicorn_options(load()))
