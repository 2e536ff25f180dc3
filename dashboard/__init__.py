"""The web page over an atlas: map, sky and gallery, linked.

`dashboard.app.create_app` builds it, `dashboard.wsgi:server` is what a WSGI server loads, `python -m dashboard` serves
it. Nothing happens at import.
"""
