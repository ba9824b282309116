"""How fast it is, beside its peers, a bare prototype and the raw cryptography: see `__main__`."""
