"""Finishes user-interactive authentication (UIA) when the gateway vouches for the user."""

from synapse.module_api import JsonDict, ModuleApi

from .assertion import Verifier

STAGE = "org.myelin.assertion"
MARK = "initial_device_display_name"
FIELDS = ("assertion", "session", MARK)


class ReauthStage:
    """The UIA stage `org.myelin.assertion`."""

    def __init__(self, api: ModuleApi, verifier: Verifier) -> None:
        """Believe what `verifier` believes."""
        self._api = api
        self._verifier = verifier

    async def check(
        self, username: str, _login_type: str, fields: JsonDict
    ) -> tuple[str, None] | None:
        """Accept an assertion made for this user and this UIA session; None refuses.

        Synapse lets a session be used for one method and URI only: who is bound to the session is
        bound to the operation. Synapse also offers every stage as a login type. There, the mark
        is the display name of the new device, by which the login check refuses it.
        """
        claims = self._verifier.accept("uia", fields["assertion"])
        if claims is None or claims.user is None or claims.session is None:
            return None
        if fields[MARK] != STAGE or fields["session"] != claims.session:
            return None
        if self._api.get_qualified_user_id(username) != claims.user:
            return None
        return claims.user, None
