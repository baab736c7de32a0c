#!/usr/bin/env python3
"""Runs Myelin in front of a real Synapse on loopback, and counts what holds.

Usage: stack.py [options] synapse|generic|embedded -- COMMAND...

The suites import this. As a program it runs a command against the servers,
which finds Myelin at $MYELIN_URL and Synapse at $SYNAPSE_URL; a `{}` in it
stands for Myelin's address. Its exit code is this program's. Everything lives
in a temporary directory and ends when it is done.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import requests

from proxies import CONFIGURE
from recorder import Recorder

SERVER_NAME = "synapse.test"
JWT_SECRET = "a secret of the token issuer, long enough"
SHARED_SECRET = "for the first administrator"
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">
<circle cx="16" cy="16" r="14" fill="#0a7d55"/></svg>"""
START_TIMEOUT_S = 90


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@dataclass(frozen=True)
class Tools:
    """The programs under test."""

    myelin: str
    synapse_python: str
    node: str

    @staticmethod
    def parser(about: str | None) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--myelin", default="target/release/myelin")
        parser.add_argument("--synapse-python", default=sys.executable)
        parser.add_argument("--node", default="node")
        return parser

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        return cls(str(Path(args.myelin).resolve()), args.synapse_python, args.node)

    @classmethod
    def parse(cls, about: str | None) -> Self:
        return cls.of(cls.parser(about).parse_args())


class Process:
    """A server that is ready when a URL answers."""

    def __init__(self, command: list[str], directory: Path, ready: str, **env: str) -> None:
        self.log = directory / "log"
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                command, cwd=directory, stdout=out, stderr=out, env=os.environ | env
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(ready):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"{command[0]} does not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def peak_memory_kib(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Postgres(Process):
    """A PostgreSQL; it ends without waiting for those who use it."""

    def stop(self) -> None:
        if self._process.poll() is None:
            pid = (self.log.parent / "data/postmaster.pid").read_text().split()[0]
            os.kill(int(pid), signal.SIGINT)
            self._process.wait(20)


def answers(url: str) -> bool:
    at = urllib.parse.urlsplit(url)
    try:
        if at.scheme == "postgres":
            # It listens before it lets anybody in.
            asked = subprocess.run([at.path, "-q", "-h", at.hostname, "-p", str(at.port)])
            return asked.returncode == 0
        if at.scheme == "tcp":
            socket.create_connection((at.hostname, at.port), 1).close()
            return True
        return requests.get(url, timeout=5).status_code == 200
    except OSError:
        return False


class Stack:
    """The servers of one run. `url` is what clients see.

    `synapse` is put on top of Synapse's configuration; `recorder` stands before it.
    With `sso`, Synapse has an identity provider, and this is what it is worth.
    """

    def __init__(
        self,
        tools: Tools,
        kind: str,
        database: str = "sqlite",
        *,
        synapse: dict | None = None,
        recorder: Recorder | None = None,
        sso: str | None = None,
    ) -> None:
        self.tools, self.kind, self.database = tools, kind, database
        self._synapse_extra, self._recorder, self._sso = synapse or {}, recorder, sso
        self.gateway = f"127.0.0.1:{free_port()}"
        self._undo = ExitStack()
        self.direct = ""

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._undo = undo
            self.directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
            self.directory.chmod(0o755)
            self._start()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._undo.close()

    def _run(self, name: str, command: list[str], ready: str, **env: str) -> Process:
        process = Process(command, self._place(name), ready, **env)
        self._undo.callback(process.stop)
        return process

    def _place(self, name: str) -> Path:
        place = self.directory / name
        place.mkdir(exist_ok=True)
        return place

    def _start(self) -> None:
        if self._sso:
            self._synapse_extra = self._identity_provider() | self._synapse_extra
        if self.kind != "embedded":
            self._configure_synapse(with_module=self.kind == "synapse")
            self.start_synapse()
        self.upstream = self.direct
        if self._recorder:
            self.upstream = self._undo.enter_context(self._recorder.before(self.direct))
        if self.kind == "plain":
            self.url = self.direct
            return
        self.url = f"http://{self.gateway}"
        self.settings = self._settings()
        command = [self.tools.myelin, "serve"]
        self.myelin = self._run("myelin", command, self.url + "/ready", **self.settings)

    def _identity_provider(self) -> dict[str, object]:
        """Starts an OpenID Connect provider. Synapse has to know its public address."""
        port = free_port()
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
        self._run("provider", command, f"tcp://127.0.0.1:{port}")
        provider = {
            "idp_id": "corp",
            "idp_name": "Example Corp",
            "issuer": f"http://127.0.0.1:{port}",
            "client_id": "synapse",
            "client_secret": "unused",
            "scopes": ["openid"],
            "skip_verification": True,
            "allow_existing_users": True,
            "user_mapping_provider": {"config": {"localpart_template": "{{ user.sub }}"}},
        }
        return {
            "oidc_providers": [provider],
            "public_baseurl": f"http://{self.gateway}/",
            "sso": {"client_whitelist": [f"http://{self.gateway}/account/sign-on/"]},
        }

    def _settings(self) -> dict[str, str]:
        logo = self.directory / "logo.svg"
        logo.write_text(LOGO)
        settings = {
            "MYELIN_LISTEN": self.gateway,
            "MYELIN_PUBLIC_URL": self.url,
            "MYELIN_SERVER_NAME": SERVER_NAME,
            "MYELIN_DATA_DIR": str(self.directory / "data"),
            "MYELIN_PROXY_TRUSTED": "127.0.0.1",
            "MYELIN_REGISTRATION_MODE": "open",
            "MYELIN_LIMITS_WRONG_PASSWORDS": "100000",
            "MYELIN_POLICY_REQUIRED_FOR": "@forced-*",
            "MYELIN_POLICY_EXEMPT": "@forced-exempt-*",
            # One of them has a picture of its own.
            "MYELIN_PAGES_LOGO": str(logo) if self.kind == "generic" else "",
            "MYELIN_HOMESERVER_KIND": self.kind,
            "MYELIN_DATABASE_URL": self._postgres() if self.database == "postgres" else "",
            "MYELIN_HOMESERVER_URL": self.upstream,
            "MYELIN_HOMESERVER_SSO": self._sso or "",
            "MYELIN_HOMESERVER_SECRET_FILE": (
                str(self.directory / "synapse/secret") if self.kind == "synapse" else ""
            ),
        }
        return {name: value for name, value in settings.items() if value}

    def start_synapse(self) -> None:
        """Starts it, also once more after `synapse.stop()`."""
        self.synapse = self._run("synapse", self._synapse_command, self.direct + "/health")
        # The module believes nothing that may be older than its own process.
        time.sleep(1)

    def _configure_synapse(self, *, with_module: bool) -> None:
        place, port = self._place("synapse"), free_port()
        self.direct = f"http://127.0.0.1:{port}"
        config = synapse_config(place, port) | self._synapse_extra
        if with_module:
            secret = place / "secret"
            secret.write_text(secrets.token_hex(32))
            secret.chmod(0o600)
            module = {"secret_path": str(secret), "max_clock_skew_ms": 500}
            config["modules"] = [{"module": "myelin_synapse.MyelinModule", "config": module}]
        # JSON is YAML.
        (place / "homeserver.yaml").write_text(json.dumps(config))
        command = [self.tools.synapse_python, "-m", "synapse.app.homeserver"]
        command += ["-c", "homeserver.yaml"]
        made = subprocess.run(
            [*command, "--generate-keys"], cwd=place, capture_output=True, text=True, check=False
        )
        if not (place / "signing.key").exists():
            sys.exit(made.stderr)
        self._synapse_command = command

    def _postgres(self) -> str:
        """A PostgreSQL of its own; it does not run as root."""
        place, port = self._place("postgres"), free_port()
        found = shutil.which("initdb") or max(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        binaries = Path(found).resolve().parent
        user = []
        if os.geteuid() == 0:
            shutil.chown(place, "postgres")
            user = ["runuser", "-u", "postgres", "--"]
        data = str(place / "data")
        initdb = [*user, str(binaries / "initdb"), "-D", data, "-U", "myelin", "-A", "trust"]
        subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True, cwd=place)
        server = [*user, str(binaries / "postgres"), "-D", data, "-h", "127.0.0.1"]
        server += ["-p", str(port), "-k", data, "-F"]
        self._postgres_command = server
        self._postgres_ready = f"postgres://127.0.0.1:{port}{binaries}/pg_isready"
        self.start_postgres()
        return f"postgres://myelin@127.0.0.1:{port}/postgres"

    def start_postgres(self) -> None:
        """Starts it, also once more after `postgres.stop()`."""
        place = self._place("postgres")
        self.postgres = Postgres(self._postgres_command, place, self._postgres_ready)
        self._undo.callback(self.postgres.stop)

    @contextmanager
    def behind(self, proxy: str) -> Iterator[str]:
        """The URL of a proxy with the configuration that `myelin routes` prints."""
        place, port = self._place(proxy), free_port()
        homeserver = self.upstream.removeprefix("http://")
        command = [self.tools.myelin, "routes", "--format", proxy]
        command += ["--gateway", self.gateway, "--homeserver", homeserver]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        command = CONFIGURE[proxy](place, port, printed, homeserver)
        home = {"HOME": str(place), "XDG_DATA_HOME": str(place), "XDG_CONFIG_HOME": str(place)}
        process = Process(command, place, f"tcp://127.0.0.1:{port}", **home)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stop()


def synapse_config(place: Path, port: int) -> dict[str, object]:
    logging = {
        "version": 1,
        "handlers": {"out": {"class": "logging.StreamHandler"}},
        "root": {"level": "WARNING", "handlers": ["out"]},
    }
    (place / "log.yaml").write_text(json.dumps(logging))
    bridge = {
        "id": "bridge",
        "url": None,
        "as_token": "the-bridges-own-token",
        "hs_token": "unused",
        "sender_localpart": "bridge",
        "namespaces": {"users": [{"exclusive": True, "regex": "@bridged-.*"}]},
        "rate_limited": False,
    }
    (place / "bridge.yaml").write_text(json.dumps(bridge))
    plenty = {"per_second": 1000, "burst_count": 1000}
    listener = {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "type": "http",
        "tls": False,
        "x_forwarded": True,
        "resources": [{"names": ["client"]}],
    }
    return {
        "server_name": SERVER_NAME,
        "bcrypt_rounds": 4,
        "public_baseurl": f"http://127.0.0.1:{port}/",
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": str(place / "homeserver.db")}},
        "signing_key_path": str(place / "signing.key"),
        "media_store_path": str(place / "media"),
        "pid_file": str(place / "pid"),
        "log_config": str(place / "log.yaml"),
        "registration_shared_secret": SHARED_SECRET,
        "macaroon_secret_key": "macaroon",
        "form_secret": "form",
        "report_stats": False,
        "trusted_key_servers": [],
        "enable_registration": True,
        "allow_guest_access": True,
        "enable_registration_without_verification": True,
        "login_via_existing_session": {"enabled": True, "require_ui_auth": True},
        "app_service_config_files": [str(place / "bridge.yaml")],
        "jwt_config": {"enabled": True, "secret": JWT_SECRET, "algorithm": "HS256"},
        "rc_registration": plenty,
        "rc_message": plenty,
        "rc_login": {"address": plenty, "account": plenty, "failed_attempts": plenty},
    }


class Tally:
    """Counts claims, and says those that do not hold."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, holds: bool, claim: str, seen: object = "") -> None:
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {claim}: {str(seen)[:400]}", flush=True)

    def end(self) -> None:
        """The last line, and the exit status."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(self.failed > 0 or self.passed == 0)


def main() -> int:
    parser = Tools.parser(__doc__)
    parser.add_argument("kind", choices=["synapse", "generic", "embedded"])
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    with Stack(Tools.of(args), args.kind, args.database) as stack:
        urls = {"MYELIN_URL": stack.url, "SYNAPSE_URL": stack.direct}
        environment = {**os.environ, **stack.settings, **urls}
        command = [word.replace("{}", stack.url) for word in args.command]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
