"""Decides about logins: the gateway's are let in or answered, all others are refused."""

from collections.abc import Collection
from typing import Any, Literal

from synapse.module_api import NOT_SPAM, JsonDict, ModuleApi
from synapse.module_api.errors import Codes

from .assertion import Verifier
from .reauth import STAGE

PROBE = "myelin-probe/"
LOGIN = "myelin-login/"
PASSWORD_FIELD = "org.myelin.assertion"  # noqa: S105 (the name of a field, no password)
# Not a user ID, so Synapse finds no account to log in, and no owner of an access token equals it.
NOBODY = "refused"


class LoginGate:
    """Synapse's two hooks into a login: the password stage, and the check before the device."""

    def __init__(self, api: ModuleApi, verifier: Verifier, require_gateway: bool) -> None:
        """Without `require_gateway`, probes are answered and other logins are left alone."""
        self._api = api
        self._verifier = verifier
        self._require_gateway = require_gateway

    async def check_password(
        self, _username: str, _login_type: str, fields: JsonDict
    ) -> tuple[str, None] | None:
        """Let Synapse check a password only for the gateway.

        Synapse checks passwords in a login and in user-interactive authentication alike; in the
        latter, a password sent directly would get around the second factor. None lets Synapse go
        on to its own check. Synapse ignores a hook that raises, so the way to refuse is to
        answer with a user who is nobody.
        """
        believed = self._verifier.accept("password", fields.get(PASSWORD_FIELD))
        return None if believed else (NOBODY, None)

    async def check_login(
        self,
        user_id: str,
        _device_id: str | None,
        display_name: str | None,
        request_info: Collection[tuple[str | None, str]],
        auth_provider_id: str | None = None,
    ) -> Literal["NOT_SPAM"] | tuple[Codes, dict[str, Any]]:
        """Judge a login whose credentials Synapse has accepted, before its device is made."""
        if display_name == STAGE:
            return _refusal("org.myelin.assertion is not a way to log in.")
        agent = next((agent or "" for agent, _ip in request_info), "")
        if agent.startswith(PROBE) and self._verifier.accept("probe", agent[len(PROBE) :]):
            return _refusal(
                "The credentials are right. This was a probe: nobody is logged in.",
                {"org.myelin.user_id": user_id, "org.myelin.auth_provider_id": auth_provider_id},
            )
        if agent.startswith(PROBE) or not await self._may_enter(user_id, agent, auth_provider_id):
            return _refusal(
                "This server asks for a second factor. Log in at the address that its "
                "administrator gives for clients, not at the homeserver directly."
            )
        return NOT_SPAM

    async def _may_enter(self, user_id: str, agent: str, auth_provider_id: str | None) -> bool:
        if agent.startswith(LOGIN):
            claims = self._verifier.accept("login", agent[len(LOGIN) :])
            return claims is not None and claims.user == user_id
        if not self._require_gateway:
            return True
        if auth_provider_id is not None:
            return False
        # Synapse does not say that a login is an application service's, but it says which accounts
        # a service owns. Only the service's own sender has no account at all.
        account = await self._api.get_userinfo_by_id(user_id)
        return account is None or bool(account.appservice_id)


def _refusal(text: str, more: dict[str, Any] | None = None) -> tuple[Codes, dict[str, Any]]:
    return Codes.FORBIDDEN, {"error": text, **(more or {})}
