"""What is tried to get around a second factor: by whom, with what, at which path."""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import socket
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import requests

from life import PASSWORD, PERIOD, Person, wait_for_a_young_step
from stack import JWT_SECRET, SERVER_NAME, Stack

RECOVERY = "m.login.2fa.recovery"
PREFIXES = [
    f"/_matrix/client/{version}/"
    for version in ("v3", "r0", "v1", "unstable", "api/v1", "v4", "unstable/org.example")
]


# What Synapse is to have besides: it takes a login token for granted where a
# token is given, and addresses that were proven to it.
SYNAPSE = {
    "login_via_existing_session": {
        "enabled": True,
        "require_ui_auth": False,
        "token_timeout": "1h",
    },
    "email": {"notif_from": "Synapse <synapse@synapse.test>"},
}
# There, it asks for no more than the token, so no module can: who has a token
# and reaches Synapse's own port does these. A login token lets nobody in.
OPEN_TO_A_TOKEN = {"login/get_token", "org.matrix.msc3882/login/token", "account/3pid"}


class Victim(Person):
    """Someone with two devices, cross-signing keys, and a second factor."""

    def prepare(self, stack: Stack) -> None:
        self.password = PASSWORD
        self.register()
        self.other_device = self.login_request().json()["device_id"]
        self.keys = signing_keys(self.user_id)
        self.send("POST", "/keys/device_signing/upload", self.keys)
        wait_for_a_young_step()
        self.enrolled = time.time()
        self.recovery_codes = self.enrol(self.enrolled - PERIOD)
        self.address, self.proven = proven_address(stack)
        self.login_token = self.ask_for_login_token(stack.direct)

    def ask_for_login_token(self, homeserver: str) -> str:
        """A genuine one, from Synapse itself."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{homeserver}/_matrix/client/v1/login/get_token"
        return requests.post(url, json={}, headers=headers, timeout=30).json()["login_token"]

    def password_stage_dict(self) -> dict:
        identifier = {"type": "m.id.user", "user": self.user_id}
        return {"type": "m.login.password", "identifier": identifier, "password": self.password}

    def operate(self, method: str, path: str, body: dict) -> requests.Response:
        """An operation with all that it asks for, in the order in which it is asked for."""
        answer = self.send(method, path, body)
        for _ in range(2):
            asked = answer.json()
            stages = next(flow["stages"] for flow in asked["flows"] if RECOVERY in flow["stages"])
            stage = stages[len(asked.get("completed", []))]
            auth = {"type": stage, "session": asked["session"]}
            if stage == RECOVERY:
                auth["token"] = self.recovery_codes.pop()
            else:
                auth |= self.password_stage_dict()
            answer = self.send(method, path, body | {"auth": auth})
        return answer

    def forget(self, homeserver: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        requests.post(f"{homeserver}/_matrix/client/v3/logout", headers=headers, timeout=30)

    def state(self, homeserver: str) -> object:
        """All that an attack could change, as the homeserver itself says."""
        headers = {"Authorization": f"Bearer {self.token}"}

        def ask(method: str, path: str, body: object = None) -> dict:
            url = f"{homeserver}/_matrix/client/v3/{path}"
            return requests.request(method, url, json=body, headers=headers, timeout=30).json()

        devices = sorted(device["device_id"] for device in ask("GET", "devices")["devices"])
        keys = ask("POST", "keys/query", {"device_keys": {self.user_id: []}})
        keys = keys.get("master_keys", {}).get(self.user_id, {}).get("keys")
        return devices, keys, ask("GET", "account/3pid")


def proven_address(stack: Stack) -> tuple[str, dict]:
    """An address as if the attacker had followed the link in Synapse's email."""
    sid, secret = secrets.token_hex(8), "a-secret-of-the-attackers"
    address = f"{sid}@example.org"
    insert = """INSERT INTO threepid_validation_session
        (session_id, client_secret, medium, address, last_send_attempt, validated_at)
        VALUES (?, ?, 'email', ?, 1, ?)"""
    file = stack.directory / "synapse/homeserver.db"
    with closing(sqlite3.connect(file, timeout=30)) as database, database:
        database.execute(insert, (sid, secret, address, int(time.time() * 1000)))
    return address, {"sid": sid, "client_secret": secret}


def signing_keys(user_id: str) -> dict:
    def key(usage: str) -> dict:
        public = base64.b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        return {"user_id": user_id, "usage": [usage], "keys": {f"ed25519:{public}": public}}

    return {"master_key": key("master")}


@dataclass(frozen=True)
class Attack:
    """A request that must not succeed."""

    method: str
    endpoint: str
    body: dict
    token: str = ""
    # By design it is the homeserver that answers this.
    passes: bool = False


def attacks(victim: Victim) -> Iterator[Attack]:
    """With the password alone, and with a stolen token and the password."""
    password = victim.password_stage_dict()
    for body in logins(victim, password):
        yield Attack("POST", "login", body)
    for name in (victim.name, f"free-{secrets.token_hex(4)}"):
        account = {"username": name, "password": "x" * 12, "auth": password}
        yield Attack("POST", "register", account)
    yield Attack("POST", "account/password", {"new_password": "x" * 12, "auth": password})
    yield Attack("POST", "refresh", {"refresh_token": victim.token}, passes=True)
    for method, endpoint, body in operations(victim):
        yield Attack(method, endpoint, body, victim.token)
        yield Attack(method, endpoint, body | {"auth": password}, victim.token)
        dummy = {"type": "m.login.dummy"}
        yield Attack(method, endpoint, body | {"auth": dummy}, victim.token)


def logins(victim: Victim, password: dict) -> Iterator[dict]:
    yield password
    yield password | {"auth": {"type": "m.login.dummy"}}
    yield {"type": "m.login.token", "token": victim.token}
    yield {"type": "m.login.token", "token": victim.login_token}
    yield {"type": "org.matrix.login.jwt", "token": jwt(victim.name)}
    yield password | {"type": "m.login.application_service"}
    yield password | {"type": "org.myelin.assertion", "assertion": "x"}
    yield {"type": "m.login.password", "user": victim.name, "password": PASSWORD}


def operations(victim: Victim) -> Iterator[tuple[str, str, dict]]:
    """In an order in which all can be done."""
    yield "POST", "login/get_token", {}
    yield "POST", "org.matrix.msc3882/login/token", {}
    yield "POST", "account/3pid/add", victim.proven
    yield "POST", "account/3pid", {"three_pid_creds": victim.proven}
    yield "DELETE", f"devices/{victim.other_device}", {}
    yield "POST", "delete_devices", {"devices": [victim.other_device]}
    yield "POST", "delete_devices", {"devices": []}
    yield "POST", "keys/device_signing/upload", signing_keys(victim.user_id)
    keys = signing_keys(victim.user_id)
    yield "POST", "org.matrix.msc3967/keys/device_signing/upload", keys
    yield "POST", "account/two-factor/recovery", {}
    yield "POST", "account/two-factor/totp", {"name": "Mine"}
    yield "POST", "account/password", {"new_password": "x" * 12}
    yield "POST", "account/deactivate", {}


def readings(victim: str, mine: str) -> Iterator[tuple[str, dict]]:
    """Queries and headers in which one server may read one token, and the next another.

    To some, `;` parts a query as `&` does. What `Connection` names does not
    reach the next server.
    """
    bearer = {"Authorization": f"Bearer {mine}"}
    named = bearer | {"Connection": "authorization"}
    for key in ("access_token", "access%5ftoken"):
        yield f"?x=1;{key}={victim}&access_token={mine}", {}
        for headers in ({}, bearer, named):
            yield f"?x;{key}={victim}", headers
            yield f"?x=1;{key}={victim}&y=2", headers
        yield f"?{key}={victim}&access_token={mine}", {}
        yield f"?{key}={victim}", named


def jwt(name: str) -> str:
    def part(value: object) -> str:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    signed = part({"alg": "HS256"}) + "." + part({"sub": name})
    mac = hmac.digest(JWT_SECRET.encode(), signed.encode(), hashlib.sha256)
    return signed + "." + part(mac)


def spellings(path: str, homeserver: str) -> Iterator[str]:
    """What some server somewhere takes for `path`."""
    head, _, last = path.rpartition("/")
    front = path.removeprefix("/_matrix")
    escaped = f"%{ord(last[0]):02x}{last[1:]}"
    yield path
    yield from (path + tail for tail in ("/", "//", ";x", ";/", "%20", "%00", "%3f", "/.", "?x=1"))
    yield from (path + tail for tail in ("?access_token=", "#x", "%2f", "/x/..", "/..;/" + last))
    yield from (f"{head}/{name}" for name in (escaped, escaped.upper(), last.upper()))
    yield from (f"{head}{slash}{last}" for slash in ("//", "%2f", "%252f", "\\", "%5c", "/./"))
    yield from (
        f"{head}/{step}/{last}" for step in ("x/..", "%2e", "x/%2e%2e", ";", "x/%252e%252e")
    )
    yield from (f"{head};x/{last}", f"{head}/%25{ord(last[0]):02x}{last[1:]}")
    yield from ("/" + path, "/x/.." + path, "/%5fmatrix" + front, "/_Matrix" + front, "/." + path)
    # Beginnings that a proxy could take for the busy paths.
    sync = "/_matrix/client/v3/sync"
    rooms = "/_matrix/client/v3/rooms/x"
    yield from (f"{sync}/..{front[10:]}", f"{rooms}/..%2f..%2f{last}", f"{sync}/..;/{last}")
    yield from (f"{rooms}/../../{last}", f"{rooms}/%2e%2e/%2e%2e/{last}", f"{sync}/../{last}")
    yield from (f"http://x{path}", f"{homeserver}{path}", f"http://x/{path}")


OVERRIDES = [
    {"X-HTTP-Method-Override": "POST"},
    {"X-Original-URL": "/_matrix/client/v3/login", "X-Rewrite-URL": "/_matrix/client/v3/login"},
    {"X-Forwarded-Prefix": "/_matrix", "X-Forwarded-Path": "/_matrix/client/v3/login"},
]


class Wire:
    """Sends requests as they are written; no client library has a say."""

    def __init__(self, url: str) -> None:
        at = urllib.parse.urlsplit(url)
        self._address = at.hostname, at.port
        self._socket: socket.socket | None = None

    def send(self, attack: Attack, target: str, headers: dict | None = None) -> tuple[int, str]:
        body = json.dumps(attack.body)
        lines = [f"{attack.method} {target} HTTP/1.1", f"Host: {SERVER_NAME}"]
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        if attack.token:
            lines.append(f"Authorization: Bearer {attack.token}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        request = "\r\n".join([*lines, "", body]).encode()
        for _ in range(2):
            # A connection that is kept may have been closed meanwhile.
            try:
                return self._exchange(request)
            except (ConnectionError, ValueError):
                self._socket = None
        return 0, "closed without an answer"

    def _exchange(self, request: bytes) -> tuple[int, str]:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, 30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        response = http.client.HTTPResponse(self._socket)
        try:
            response.begin()
            text = f"{response.headers}{response.read().decode(errors='replace')}"
        except http.client.HTTPException as error:
            raise ConnectionError from error
        if response.will_close:
            self._socket = None
        return response.status, text
