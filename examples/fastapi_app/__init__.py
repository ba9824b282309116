"""A newsroom's API in FastAPI."""
