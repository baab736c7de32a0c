"""Remembers the nonces of accepted assertions, so that each assertion works once."""

import heapq


class Nonces:
    """A bounded set of nonces, each kept until its assertion has expired."""

    def __init__(self, capacity: int = 100_000) -> None:
        """Hold at most `capacity` nonces at a time."""
        self._capacity = capacity
        self._seen: set[str] = set()
        self._by_expiry: list[tuple[int, str]] = []

    def spend(self, nonce: str, expires_ms: int, now_ms: int) -> bool:
        """Take a nonce; False if it was taken before, or if there is no room to remember it."""
        while self._by_expiry and self._by_expiry[0][0] <= now_ms:
            self._seen.discard(heapq.heappop(self._by_expiry)[1])
        # A full set refuses. To forget an old nonce instead would let its assertion be replayed.
        if nonce in self._seen or len(self._seen) >= self._capacity:
            return False
        self._seen.add(nonce)
        heapq.heappush(self._by_expiry, (expires_ms, nonce))
        return True
