"""The module's configuration: as typed in homeserver.yaml, and as validated."""

import os
import stat
from dataclasses import dataclass, fields
from typing import Any

from synapse.module_api.errors import ConfigError

MIN_SECRET_BYTES = 32


@dataclass(frozen=True)
class Config:
    """Validated configuration; times are in milliseconds."""

    secret_path: str
    require_gateway: bool = True
    worker_name: str | None = None
    max_clock_skew_ms: int = 2_000
    max_assertion_lifetime_ms: int = 60_000
    login_token_lifetime_ms: int = 30_000


# The bounds of every time that can be configured.
LIMITS_MS = {
    "max_clock_skew_ms": (0, 30_000),
    "max_assertion_lifetime_ms": (1_000, 60_000),
    "login_token_lifetime_ms": (1_000, 120_000),
}


def parse(raw: dict[str, Any]) -> Config:
    """Validate the `config` mapping; raises ConfigError, naming the key that is wrong."""
    for key in raw:
        if key not in {field.name for field in fields(Config)}:
            raise ConfigError(f"unknown key {key!r}", (key,))
    if not isinstance(raw.get("secret_path"), str):
        raise ConfigError("secret_path must name the file of the shared secret", ("secret_path",))
    config = Config(**raw)
    if not isinstance(config.require_gateway, bool):
        raise ConfigError("must be true or false", ("require_gateway",))
    if not isinstance(config.worker_name, str | None):
        raise ConfigError("must be a worker's name", ("worker_name",))
    for key, (low, high) in LIMITS_MS.items():
        value = getattr(config, key)
        if type(value) is not int or not low <= value <= high:
            raise ConfigError(f"must be a whole number from {low} to {high}", (key,))
    read_secret(config.secret_path)  # a wrong file stops Synapse at its start, not at a login
    return config


def read_secret(path: str) -> bytes:
    """Read the shared secret, without white space at its ends; raises ConfigError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (fstat and read need the same open file)
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read().strip(b" \t\r\n")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", ("secret_path",)) from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path} is open to group or others: chmod 600", ("secret_path",))
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(f"{path} holds fewer than {MIN_SECRET_BYTES} bytes", ("secret_path",))
    return secret
