"""Runs a real Synapse on loopback, with the module, and talks to it as any HTTP client does."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signer import Signer

SERVER_NAME = "synapse.test"
START_TIMEOUT_S = 90
PASSWORD = "correct horse battery"
JWT_SECRET = "a secret of the token issuer, long enough"
BRIDGE_TOKEN = "the-bridges-own-token"


@dataclass(frozen=True)
class Reply:
    """A response: the status, the JSON body, and the names of its headers."""

    status: int
    body: dict[str, Any]
    header_names: frozenset[str]
    text: str

    @property
    def refusal(self) -> tuple[int, object]:
        """Status and Matrix error code."""
        return self.status, self.body.get("errcode")


@dataclass(frozen=True)
class User:
    """A registered account and the access token of its registration."""

    user_id: str
    access_token: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any) -> None:
        return None


class Synapse:
    """One Synapse process in a directory of its own."""

    def __init__(
        self, directory: Path, module_config: dict[str, Any] | None = None, cas_url: str = ""
    ) -> None:
        """Write the configuration; nothing runs yet."""
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._users = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        secret = directory / "secret"
        secret.write_text("0123456789abcdef" * 4 + "\n")
        secret.chmod(0o600)
        self.signer = Signer(secret.read_bytes().strip())
        config = _homeserver_config(directory, self.url, cas_url)
        module = {"secret_path": str(secret), "max_clock_skew_ms": 500, **(module_config or {})}
        config["modules"] = [{"module": "myelin_synapse.MyelinModule", "config": module}]
        # JSON is YAML.
        (directory / "homeserver.yaml").write_text(json.dumps(config))

    def __enter__(self) -> "Synapse":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return once Synapse serves."""
        command = [sys.executable, "-m", "synapse.app.homeserver"]
        command += ["-c", "homeserver.yaml"]
        with (self._directory / "stdout").open("ab") as out:
            args: dict[str, Any] = {"cwd": self._directory, "stdout": out, "stderr": out}
            # Makes the signing key and checks the configuration.
            subprocess.run([*command, "--generate-keys"], check=False, **args)
            self._process = subprocess.Popen(command, **args)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError((self._directory / "stdout").read_text()[-4000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """End the process that `start` started."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=5):
                return True
        except OSError:
            return False

    def wait_until_believed(self) -> None:
        """Wait until assertions are younger than the process by more than the clock skew."""
        deadline = time.monotonic() + 20
        while self.hello().status != 200:
            assert time.monotonic() < deadline, "the module does not answer"
            time.sleep(0.1)

    @property
    def log(self) -> str:
        """Everything that Synapse has written so far."""
        return (self._directory / "stdout").read_text()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        agent: str = "a client",
    ) -> Reply:
        """Send one request; errors of HTTP are replies too. A path may be a whole URL."""
        headers = {"User-Agent": agent, "Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        url = urllib.parse.urljoin(self.url, path)
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as response:
                status, headers_in, raw = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                status, headers_in, raw = error.code, error.headers, error.read()
        text = raw.decode()
        parsed = json.loads(text) if text.startswith("{") else {}
        return Reply(status, parsed, frozenset(name.lower() for name in headers_in), text)

    def register(self, *, admin: bool = False) -> User:
        """Register a fresh user with PASSWORD."""
        self._users += 1
        name = f"{'admin' if admin else 'user'}{self._users}"
        if admin:
            tool = [sys.executable, "-m", "synapse._scripts.register_new_matrix_user"]
            tool += ["-c", "homeserver.yaml", "-u", name, "-p", PASSWORD, "--admin", self.url]
            subprocess.run(tool, cwd=self._directory, check=True, capture_output=True)
            user_id = f"@{name}:{SERVER_NAME}"
            return User(user_id, self.log_in_as_gateway(user_id).body["access_token"])
        auth = {"type": "m.login.dummy"}
        body = {"username": name, "password": PASSWORD, "auth": auth}
        reply = self.call("POST", "/_matrix/client/v3/register", body)
        assert reply.status == 200, reply
        return User(reply.body["user_id"], reply.body["access_token"])

    def hello(self, assertion: str | None = None) -> Reply:
        """Ask for the module's version; with a fresh assertion if none is given."""
        token = self.signer.sign("hello") if assertion is None else assertion
        return self.call("GET", "/_synapse/client/myelin/version", token=token)

    def login(self, body: dict[str, object], agent: str = "a client") -> Reply:
        """Send a login exactly as given."""
        return self.call("POST", "/_matrix/client/v3/login", body, agent=agent)

    def password_login(self, user: str, password: str = PASSWORD, agent: str = "a client") -> Reply:
        """Log in with a password and a fresh password assertion in the body."""
        return self.login(
            {
                **password_stage(user, password),
                "org.myelin.assertion": self.signer.sign("password"),
            },
            agent,
        )

    def probe(self, user: str, password: str = PASSWORD) -> Reply:
        """Probe a password as the gateway does."""
        return self.password_login(user, password, "myelin-probe/" + self.signer.sign("probe"))

    def mint(self, user_id: str) -> Reply:
        """Mint a login token as the gateway does."""
        token = self.signer.sign("mint", user=user_id)
        return self.call("POST", "/_synapse/client/myelin/mint", token=token)

    def login_agent(self, user_id: str) -> str:
        """The User-Agent that lets this user in."""
        return "myelin-login/" + self.signer.sign("login", user=user_id)

    def log_in_as_gateway(self, user_id: str, **more: object) -> Reply:
        """Mint a token and log in with it."""
        token = self.mint(user_id).body["login_token"]
        return self.login(
            {"type": "m.login.token", "token": token, **more}, self.login_agent(user_id)
        )

    def devices(self, admin: User, user: User) -> set[str]:
        """The device IDs of a user, as Synapse's administration API lists them."""
        path = f"/_synapse/admin/v2/users/{user.user_id}/devices"
        reply = self.call("GET", path, token=admin.access_token)
        assert reply.status == 200, reply
        return {device["device_id"] for device in reply.body["devices"]}

    def sso_login_token(self, localpart: str = "ssouser") -> str:
        """Log in by CAS up to the login token that the browser hands to the client."""
        client = urllib.parse.quote("http://client.test/")
        path = f"/_matrix/client/v3/login/cas/ticket?ticket={localpart}&redirectUrl={client}"
        page = self.call("GET", path)
        found = re.search(r"loginToken=(\w+)", page.text)
        assert found, page
        return found[1]


def password_stage(user: str, password: str = PASSWORD) -> dict[str, object]:
    """What any client sends to prove a password."""
    identifier = {"type": "m.id.user", "user": user}
    return {"type": "m.login.password", "identifier": identifier, "password": password}


def _homeserver_config(directory: Path, url: str, cas_url: str) -> dict[str, Any]:
    bridge = {
        "id": "bridge",
        "url": None,
        "as_token": BRIDGE_TOKEN,
        "hs_token": "unused",
        "sender_localpart": "bridge",
        "namespaces": {
            "users": [
                {"exclusive": True, "regex": "@bridged-.*"},
                {"exclusive": False, "regex": "@.*"},
            ]
        },
        "rate_limited": False,
    }
    (directory / "bridge.yaml").write_text(json.dumps(bridge))
    logging = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(name)s %(levelname)s %(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["out"]},
    }
    (directory / "log.yaml").write_text(json.dumps(logging))
    plenty = {"per_second": 1000, "burst_count": 1000}
    listener = {
        "port": int(url.rpartition(":")[2]),
        "bind_addresses": ["127.0.0.1"],
        "type": "http",
        "tls": False,
        "resources": [{"names": ["client"]}],
    }
    config: dict[str, Any] = {
        "server_name": SERVER_NAME,
        "public_baseurl": url + "/",
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": str(directory / "homeserver.db")}},
        "signing_key_path": str(directory / "signing.key"),
        "media_store_path": str(directory / "media"),
        "pid_file": str(directory / "pid"),
        "log_config": str(directory / "log.yaml"),
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
        "app_service_config_files": [str(directory / "bridge.yaml")],
        "jwt_config": {"enabled": True, "secret": JWT_SECRET, "algorithm": "HS256"},
        "rc_registration": plenty,
        "rc_login": {
            "address": plenty,
            "account": plenty,
            "failed_attempts": {"per_second": 0.001, "burst_count": 4},
        },
    }
    if cas_url:
        config["cas_config"] = {"enabled": True, "server_url": cas_url}
    return config
