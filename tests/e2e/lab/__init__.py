"""The application behind every server: the newsroom, and a laboratory beside it."""
