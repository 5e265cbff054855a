"""What each release will return, raise or destroy when it is let onto a store: told from the files, without an engine."""
