"""Labels and collections: what people found, kept by the galaxy's identity in a database that outlives builds.

    entry.py        what is kept: one entry an act, checked
    schema.py       tables; migrations/ brings older databases to them
    database.py     SQLite beside the atlas, or PostgreSQL by URL; its failures in words
    store.py        append-only history, and the labels that follow from it

Nothing here knows an atlas: `atlas.queries.labelled` says which rows the galaxies are in a build.
"""
