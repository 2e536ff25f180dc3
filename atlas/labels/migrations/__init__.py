"""Steps from each schema of the labels to the next, run by Alembic in the transaction of the first who writes."""
