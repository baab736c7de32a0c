"""A configuration that is not safe stops Synapse at its start."""

from pathlib import Path
from typing import Any

import pytest
from synapse.module_api.errors import ConfigError

from myelin_synapse import MyelinModule
from myelin_synapse.config import read_secret
from synapse_server import Synapse


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A secret file as it should be."""
    path = tmp_path / "shared"
    path.write_bytes(b"s" * 32 + b"\n")
    path.chmod(0o600)
    return path


def test_the_defaults_require_the_gateway(secret: Path) -> None:
    config = MyelinModule.parse_config({"secret_path": str(secret)})
    assert config.require_gateway
    assert config.worker_name is None
    assert read_secret(config.secret_path) == b"s" * 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_a_secret_open_to_group_or_others_is_refused(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(ConfigError, match="open to group or others"):
        MyelinModule.parse_config({"secret_path": str(secret)})


@pytest.mark.parametrize("content", [b"", b"s" * 31, b"s" * 31 + b"\n", b" " * 64])
def test_a_short_secret_is_refused(secret: Path, content: bytes) -> None:
    secret.write_bytes(content)
    with pytest.raises(ConfigError, match="fewer than 32 bytes"):
        MyelinModule.parse_config({"secret_path": str(secret)})


def test_a_secret_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match="cannot read"):
            MyelinModule.parse_config({"secret_path": str(path)})


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret_path": None},
        {"secret_path": 1},
        {"secret": "in the configuration itself"},
        {"require_gateway": "yes"},
        {"require_gateway": 0},
        {"worker_name": 1},
        {"max_clock_skew_ms": -1},
        {"max_clock_skew_ms": 30_001},
        {"max_clock_skew_ms": True},
        {"max_assertion_lifetime_ms": 60_001},
        {"max_assertion_lifetime_ms": 0},
        {"login_token_lifetime_ms": "30s"},
        {"login_token_lifetime_ms": 120_001},
    ],
    ids=str,
)
def test_a_wrong_key_is_refused_by_its_name(secret: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refusal:
        MyelinModule.parse_config({"secret_path": str(secret), **wrong})
    assert list(refusal.value.path or ()) == list(wrong)


def test_synapse_does_not_start_with_an_open_secret(tmp_path: Path) -> None:
    synapse = Synapse(tmp_path)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(RuntimeError, match="chmod 600"):
        synapse.start()
