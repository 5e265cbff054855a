"""A database that SQLite cannot read any more, made anew from everything in its file that holds together."""
