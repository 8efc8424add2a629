"""The operator's SQLite database (peewee): a cache of what the vnodes' journals say."""
