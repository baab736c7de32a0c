"""Signs assertions as the README's wire section says: an implementation apart from the module's."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any


def base64url(raw: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Signer:
    """Holds the shared secret, as the gateway does."""

    def __init__(self, secret: bytes) -> None:
        """Sign with keys derived from `secret`."""
        self._secret = secret

    def sign(self, use: str, *, key_of: str | None = None, **changes: Any) -> str:
        """Make an assertion for `use` that is right but for `changes` (and the key, if named)."""
        payload: dict[str, Any] = {"v": 1, "use": use, "iat": now_ms(), "exp": now_ms() + 20_000}
        payload |= {"nonce": base64url(secrets.token_bytes(16)), **changes}
        return self.seal(key_of or use, json.dumps(payload, separators=(",", ":")).encode())

    def seal(self, use: str, payload: bytes) -> str:
        """Sign these very bytes with the key of `use`."""
        label = b"myelin-synapse/v1/" + use.encode()
        key = hmac.new(self._secret, label, hashlib.sha256).digest()
        mac = hmac.new(key, payload, hashlib.sha256).digest()
        return base64url(payload) + "." + base64url(mac)
