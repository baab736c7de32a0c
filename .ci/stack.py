#!/usr/bin/env python3
"""Runs a command against Myelin in front of a real Synapse.

Usage: stack.py synapse|generic [--database URL] [--synapse PYTHON] -- COMMAND...

Starts a Synapse on a free loopback port (with the module for `synapse`, without
it for `generic`) and Myelin in front of it, and ends both when the command is
done. The command finds Myelin at $MYELIN_URL and Synapse at $SYNAPSE_URL; a
`{}` in it stands for Myelin's address. Its exit code is this program's.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER_NAME = "synapse.test"
START_TIMEOUT_S = 90


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        secret = directory / "secret"
        secret.write_text(secrets.token_hex(32))
        secret.chmod(0o600)
        module = secret if arguments.kind == "synapse" else None
        with synapse(directory, arguments.synapse, module) as homeserver:
            with myelin(directory, arguments, homeserver, secret) as gateway:
                environment = {**os.environ, "MYELIN_URL": gateway, "SYNAPSE_URL": homeserver}
                command = [word.replace("{}", gateway) for word in arguments.command]
                return subprocess.run(command, env=environment, check=False).returncode


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["synapse", "generic"])
    parser.add_argument("--database", default="")
    parser.add_argument("--synapse", default=sys.executable)
    parser.add_argument("--myelin", default=str(ROOT / "target/release/myelin"))
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def synapse(directory: Path, python: str, secret: Path | None) -> Iterator[str]:
    address = free_address()
    home = directory / "synapse"
    home.mkdir()
    (home / "homeserver.yaml").write_text(json.dumps(settings(home, address, secret)))
    command = [python, "-m", "synapse.app.homeserver", "-c", "homeserver.yaml"]
    with (home / "out").open("wb") as out:
        subprocess.run([*command, "--generate-keys"], cwd=home, stdout=out, stderr=out, check=True)
        process = subprocess.Popen(command, cwd=home, stdout=out, stderr=out)
    with ended(process):
        wait_for(f"http://{address}/health", process, home / "out")
        yield f"http://{address}"


@contextmanager
def myelin(
    directory: Path, arguments: argparse.Namespace, homeserver: str, secret: Path
) -> Iterator[str]:
    address = free_address()
    environment = {
        **os.environ,
        "MYELIN_SERVER_NAME": SERVER_NAME,
        "MYELIN_LISTEN": address,
        "MYELIN_PUBLIC_URL": f"http://{address}",
        "MYELIN_DATA_DIR": str(directory / "myelin"),
        "MYELIN_HOMESERVER_KIND": arguments.kind,
        "MYELIN_HOMESERVER_URL": homeserver,
        "MYELIN_LIMITS_WRONG_PASSWORDS": "10000",
    }
    if arguments.kind == "synapse":
        environment["MYELIN_HOMESERVER_SECRET_FILE"] = str(secret)
    if arguments.database:
        environment["MYELIN_DATABASE_URL"] = arguments.database
    log = directory / "myelin.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [arguments.myelin, "serve"], env=environment, stdout=out, stderr=out
        )
    with ended(process):
        wait_for(f"http://{address}/ready", process, log)
        # The module believes nothing that may be older than its own process.
        time.sleep(3)
        yield f"http://{address}"
    if os.environ.get("MYELIN_SHOW_LOG"):
        sys.stderr.write(log.read_text())


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{url} does not answer:\n{log.read_text()[-4000:]}") from None
            time.sleep(0.1)


def settings(home: Path, address: str, secret: Path | None) -> dict[str, object]:
    """A small Synapse; JSON is YAML."""
    logging = {
        "version": 1,
        "formatters": {"plain": {"format": "%(name)s %(levelname)s %(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["out"]},
    }
    (home / "log.yaml").write_text(json.dumps(logging))
    bridge = {
        "id": "bridge",
        "url": None,
        "as_token": "the-bridges-own-token",
        "hs_token": "unused",
        "sender_localpart": "bridge",
        "namespaces": {"users": [{"exclusive": True, "regex": "@bridged-.*"}]},
        "rate_limited": False,
    }
    (home / "bridge.yaml").write_text(json.dumps(bridge))
    plenty = {"per_second": 10000, "burst_count": 10000}
    listener = {
        "port": int(address.rpartition(":")[2]),
        "bind_addresses": ["127.0.0.1"],
        "type": "http",
        "tls": False,
        "x_forwarded": True,
        "resources": [{"names": ["client"]}],
    }
    module = {
        "module": "myelin_synapse.MyelinModule",
        "config": {"secret_path": str(secret)},
    }
    return {
        "server_name": SERVER_NAME,
        "public_baseurl": f"http://{address}/",
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": str(home / "homeserver.db")}},
        "signing_key_path": str(home / "signing.key"),
        "media_store_path": str(home / "media"),
        "pid_file": str(home / "pid"),
        "log_config": str(home / "log.yaml"),
        "registration_shared_secret": "for the first administrator",
        "macaroon_secret_key": "macaroon",
        "form_secret": "form",
        "bcrypt_rounds": 4,
        "report_stats": False,
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "enable_registration": True,
        "allow_guest_access": True,
        "enable_registration_without_verification": True,
        "login_via_existing_session": {"enabled": True, "require_ui_auth": True},
        "app_service_config_files": [str(home / "bridge.yaml")],
        "modules": [module] if secret else [],
        "rc_registration": plenty,
        "rc_message": plenty,
        "rc_login": {"address": plenty, "account": plenty, "failed_attempts": plenty},
    }


if __name__ == "__main__":
    sys.exit(main())
