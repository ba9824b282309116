"""A newsroom's API in Flask."""
