"""The only place with a clock, locks and sockets: drivers, key fetching, the token cache."""
