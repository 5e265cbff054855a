"""Database: the pages and tables of chroma.sqlite3."""
