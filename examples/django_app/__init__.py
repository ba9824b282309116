"""A newsroom's API in Django."""
