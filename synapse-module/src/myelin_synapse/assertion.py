"""Short-lived signed assertions: how the module knows that the gateway is speaking.

Owns the format, the keys and the checks. Knows nothing of Synapse.
"""

import base64
import hmac
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .nonces import Nonces

logger = logging.getLogger(__name__)

USES = ("hello", "login", "mint", "password", "probe", "uia")
KEY_LABEL = b"myelin-synapse/v1/"
MAX_LENGTH = 4096


class Refused(Exception):  # noqa: N818 (a refusal is an outcome, not an error)
    """Why an assertion is not believed; for the log only, never for a response."""


@dataclass(frozen=True)
class Claims:
    """What a believed assertion says: about which user, for which UIA session of Synapse."""

    user: str | None
    session: str | None


class Verifier:
    """Believes an assertion once, and only in its short life."""

    def __init__(
        self, secret: bytes, now_ms: Callable[[], int], max_skew_ms: int, max_lifetime_ms: int
    ) -> None:
        """Derive one key per use, so that an assertion for one use is noise for another."""
        self._keys = {use: hmac.digest(secret, KEY_LABEL + use.encode(), "sha256") for use in USES}
        self._now_ms = now_ms
        self._max_skew_ms = max_skew_ms
        self._max_lifetime_ms = max_lifetime_ms
        self._nonces = Nonces()
        # Nonces are forgotten with the process, so what may have been spent before it is refused.
        self._earliest_ms = now_ms() + max_skew_ms

    def accept(self, use: str, text: object) -> Claims | None:
        """Spend an assertion made for `use`; None if it is not believed."""
        try:
            return self._accept(use, text)
        except Refused as reason:
            logger.info("Refused a %s assertion: %s", use, reason)
        except Exception:
            # Synapse passes over a password hook that raises, and goes on to its own check.
            logger.exception("Refused a %s assertion, because its check broke", use)
        return None

    def _accept(self, use: str, text: object) -> Claims:
        payload = self._authentic(use, text)
        user, session, nonce = (payload.get(key) for key in ("user", "session", "nonce"))
        if payload.get("v") != 1 or payload.get("use") != use:
            raise Refused("another version or use")
        if not isinstance(user, str | None) or not isinstance(session, str | None):
            raise Refused("malformed user or session")
        if not isinstance(nonce, str) or not 16 <= len(nonce) <= 64:
            raise Refused("malformed nonce")
        now_ms = self._now_ms()
        expires_ms = self._expiry(payload.get("iat"), payload.get("exp"), now_ms)
        if not self._nonces.spend(nonce, expires_ms, now_ms):
            raise Refused("it was used before")
        return Claims(user, session)

    def _authentic(self, use: str, text: object) -> dict[str, Any]:
        if not isinstance(text, str) or len(text) > MAX_LENGTH or text.count(".") != 1:
            raise Refused("malformed")
        try:
            body, mac = (_decode(part) for part in text.split("."))
        except ValueError:
            raise Refused("malformed") from None
        if not hmac.compare_digest(mac, hmac.digest(self._keys[use], body, "sha256")):
            raise Refused("wrong signature")
        try:
            payload = json.loads(body)
        except ValueError:
            raise Refused("malformed") from None
        if not isinstance(payload, dict):
            raise Refused("malformed")
        return payload

    def _expiry(self, issued_ms: object, expires_ms: object, now_ms: int) -> int:
        if type(issued_ms) is not int or type(expires_ms) is not int:
            raise Refused("malformed times")
        if not 0 < expires_ms - issued_ms <= self._max_lifetime_ms:
            raise Refused("its lifetime is not allowed")
        if expires_ms <= now_ms:
            raise Refused("it has expired (compare the clocks)")
        if issued_ms > now_ms + self._max_skew_ms:
            raise Refused("it is from the future (compare the clocks)")
        if issued_ms < self._earliest_ms:
            raise Refused("it may be from before this process began")
        return expires_ms


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
