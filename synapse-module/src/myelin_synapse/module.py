"""The class named in homeserver.yaml: joins the parts and registers them with Synapse."""

import logging
import secrets
from typing import Any

from synapse.module_api import ModuleApi

from . import config as configuration
from .assertion import Verifier
from .config import Config
from .login import PASSWORD_FIELD, LoginGate
from .reauth import FIELDS, STAGE, ReauthStage
from .resource import PATH, GatewayResource

logger = logging.getLogger(__name__)


class MyelinModule:
    """A Synapse module."""

    def __init__(self, config: Config, api: ModuleApi) -> None:
        """Register with Synapse. Called once in each process, before it listens."""
        mine = api.worker_name == config.worker_name
        # Spent nonces are known to one process only. In all others nothing is believed: no
        # assertion has a signature by a key that nobody holds.
        secret = configuration.read_secret(config.secret_path) if mine else secrets.token_bytes()
        verifier = Verifier(
            secret,
            api.get_current_time_msec,
            config.max_clock_skew_ms,
            config.max_assertion_lifetime_ms,
        )
        gate = LoginGate(api, verifier, config.require_gateway)
        api.register_spam_checker_callbacks(check_login_for_spam=gate.check_login)
        api.register_password_auth_provider_callbacks(
            auth_checkers={(STAGE, FIELDS): ReauthStage(api, verifier).check}
        )
        if config.require_gateway:
            api.register_password_auth_provider_callbacks(
                auth_checkers={
                    ("m.login.password", ("password", PASSWORD_FIELD)): gate.check_password
                }
            )
        if mine:
            api.register_web_resource(PATH, GatewayResource(api, verifier, config))
        else:
            logger.warning("This process believes no assertion: see worker_name")

    @staticmethod
    def parse_config(config: dict[str, Any]) -> Config:
        """Validate the module's configuration; Synapse calls this first."""
        return configuration.parse(config)
