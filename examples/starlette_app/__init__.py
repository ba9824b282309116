"""A newsroom's API in Starlette."""
