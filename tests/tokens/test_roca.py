from __future__ import annotations

from authz_middleware.tokens.roca import is_roca
from tests.tokens.minting import private_key, public_key

# The product of the primes that the flawed generator builds on, up to 701 for 2048-bit keys.
PRIMES = [n for n in range(2, 702) if all(n % d for d in range(2, n))]


def test_a_power_of_65537_modulo_the_primorial_is_told() -> None:
    """K21: the form of every modulus that the generator made."""
    primorial = 1
    for prime in PRIMES:
        primorial *= prime
    modulus = 3 * primorial + pow(65537, 12345, primorial)
    assert is_roca(modulus)


def test_other_keys_are_not() -> None:
    assert not is_roca(public_key("RS256").public_numbers().n)
    assert not is_roca(private_key("RS256", 1).public_key().public_numbers().n)
