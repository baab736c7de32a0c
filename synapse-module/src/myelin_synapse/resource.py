"""The gateway's own endpoints, which do not exist for anybody else."""

from typing import Any

from synapse.module_api import DirectServeJsonResource, ModuleApi, SynapseRequest
from synapse.module_api.errors import Codes, SynapseError

from .assertion import Verifier
from .config import Config
from .version import VERSION

PATH = "/_synapse/client/myelin"
FEATURES = ["mint", "probe", "uia"]


class GatewayResource(DirectServeJsonResource):
    """`GET version` and `POST mint`, each with an assertion as its bearer token."""

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(self, api: ModuleApi, verifier: Verifier, config: Config) -> None:
        """Serve with the lifetimes of `config`."""
        super().__init__()
        self._api = api
        self._verifier = verifier
        self._config = config

    async def _async_render(self, request: SynapseRequest) -> tuple[int, Any]:
        match request.method, request.postpath:
            case b"GET", [b"version"] if self._verifier.accept("hello", _bearer(request)):
                require_gateway = self._config.require_gateway
                features = {"features": FEATURES, "require_gateway": require_gateway}
                return 200, {"version": VERSION, **features}
            case b"POST", [b"mint"] if claims := self._verifier.accept("mint", _bearer(request)):
                return 200, await self._mint(claims.user)
        # What Synapse answers for a path that it does not know.
        raise SynapseError(404, "Unrecognized request", Codes.UNRECOGNIZED)

    async def _mint(self, user: str | None) -> dict[str, Any]:
        # Whether the account is locked or deactivated is Synapse's to say, at the login itself.
        if user is None or await self._api.get_userinfo_by_id(user) is None:
            raise SynapseError(404, "No such user", Codes.NOT_FOUND)
        lifetime_ms = self._config.login_token_lifetime_ms
        token = await self._api.create_login_token(user, duration_in_ms=lifetime_ms)
        return {"login_token": token, "expires_in_ms": lifetime_ms}


def _bearer(request: SynapseRequest) -> str | None:
    headers = request.requestHeaders.getRawHeaders(b"Authorization", [])
    scheme, _, token = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
    return token.decode("ascii", "replace") if scheme == b"Bearer" else None
