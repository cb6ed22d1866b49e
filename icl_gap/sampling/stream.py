"""Random integers that depend on nothing but a key.

The standard library and NumPy guarantee neither the same numbers in every version nor a stream for
each (seed, pool, query) that is independent of the order of calls. A keyed hash in counter mode
guarantees both, in any language.
"""

from __future__ import annotations

import hashlib


class Stream:
    """A stream of integers from BLAKE2b(key) in counter mode.

    Args:
        *key: The parts of the key. Their boundaries count: `("a", "bc")` and `("ab", "c")` are
            different keys.
    """

    def __init__(self, *key: str | int) -> None:
        text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
        self._state = hashlib.blake2b(text.encode(), digest_size=32)
        self._drawn = 0

    def below(self, bound: int) -> int:
        """Return a uniform integer in [0, bound).

        It is 128 random bits modulo `bound`; for any pool that fits in memory the deviation from
        uniform is below 2**-90.
        """
        block = self._state.copy()
        block.update(self._drawn.to_bytes(8, "little"))
        self._drawn += 1
        return int.from_bytes(block.digest()[:16], "little") % bound


def rank(*key: str | int) -> bytes:
    """Return a hash to sort by: uniform over the keys, the same on every machine."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
