"""RSA moduli made by the flawed generator of CVE-2017-15361 ("ROCA"), told by their residues.

Such a modulus is a power of 65537 modulo each of many small primes; a random one passes all of
these tests about once in 2^27 (Nemec et al., "The Return of Coppersmith's Attack", CCS 2017).
The private half can be computed from the public one, so a signature by such a key proves nothing.
"""

from __future__ import annotations

from typing import Final

__all__ = ["is_roca"]

_GENERATOR = 65537
# The primes up to 167, the smallest set that the generator used (for 512-bit keys), in which the
# powers of 65537 leave residues out.
_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


def _powers(prime: int) -> frozenset[int]:
    powers = {1}
    power = _GENERATOR % prime
    while power != 1:
        powers.add(power)
        power = power * _GENERATOR % prime
    return frozenset(powers)


_RESIDUES: Final = {prime: _powers(prime) for prime in _PRIMES}


def is_roca(modulus: int) -> bool:
    """Whether `modulus` carries the fingerprint."""
    return all(modulus % prime in residues for prime, residues in _RESIDUES.items())
