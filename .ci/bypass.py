#!/usr/bin/env python3
"""Tries to get around the second factor, in front of a real Synapse.

A user with a second factor is attacked by someone with the password, and by
someone with a stolen access token: on every way in, under every prefix, in
every spelling of the path; at the gateway, through nginx, HAProxy and Caddy as
`myelin routes` configures them, and with the module at Synapse's own port.
"""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import re
import secrets
import socket
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import requests

from life import PASSWORD, PERIOD, Person, wait_for_a_young_step
from stack import JWT_SECRET, SERVER_NAME, SHARED_SECRET, Stack, Tally, Tools

PREFIXES = [
    f"/_matrix/client/{version}/"
    for version in ("v3", "r0", "v1", "unstable", "api/v1", "v4", "unstable/org.example")
]
# Through which proxies, before which adapter: the path is read by the proxy.
PROXIES = {"generic": ["nginx", "haproxy"], "synapse": ["nginx", "caddy"]}
# What a way around would give.
TOKEN = re.compile(r'"(access_token|login_token|nonce)"')


class Victim(Person):
    """Someone with two devices, cross-signing keys, and a second factor."""

    def prepare(self) -> None:
        self.register()
        self.other_device = self.login_request().json()["device_id"]
        self.keys = signing_keys(self.user_id)
        self.send("POST", "/keys/device_signing/upload", self.keys)
        wait_for_a_young_step()
        self.enrolled = time.time()
        self.enrol(self.enrolled - PERIOD)

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


def attacks(victim: Victim) -> Iterator[Attack]:
    """With the password alone, and with a stolen token and the password."""
    identifier = {"type": "m.id.user", "user": victim.user_id}
    password = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    for body in logins(victim, password):
        yield Attack("POST", "login", body)
    account = {"username": victim.name, "password": "x" * 12, "auth": password}
    yield Attack("POST", "register", account)
    yield Attack("POST", "account/password", {"new_password": "x" * 12, "auth": password})
    yield Attack("POST", "refresh", {"refresh_token": victim.token})
    for method, endpoint, body in operations(victim):
        yield Attack(method, endpoint, body, victim.token)
        yield Attack(method, endpoint, body | {"auth": password}, victim.token)
        dummy = {"type": "m.login.dummy"}
        yield Attack(method, endpoint, body | {"auth": dummy}, victim.token)


def logins(victim: Victim, password: dict) -> Iterator[dict]:
    yield password
    yield password | {"auth": {"type": "m.login.dummy"}}
    yield {"type": "m.login.token", "token": victim.token}
    yield {"type": "org.matrix.login.jwt", "token": jwt(victim.name)}
    yield password | {"type": "m.login.application_service"}
    yield password | {"type": "org.myelin.assertion", "assertion": "x"}
    yield {"type": "m.login.password", "user": victim.name, "password": PASSWORD}


def operations(victim: Victim) -> Iterator[tuple[str, str, dict]]:
    yield "POST", "login/get_token", {}
    yield "POST", "org.matrix.msc3882/login/token", {}
    yield "POST", "account/password", {"new_password": "x" * 12}
    yield "POST", "account/deactivate", {}
    yield "POST", "account/3pid/add", {"client_secret": "x", "sid": "x"}
    creds = {"three_pid_creds": {"client_secret": "x", "sid": "x", "id_server": "x"}}
    yield "POST", "account/3pid", creds
    yield "DELETE", f"devices/{victim.other_device}", {}
    yield "POST", "delete_devices", {"devices": [victim.other_device]}
    yield "POST", "delete_devices", {"devices": []}
    yield "POST", "keys/device_signing/upload", signing_keys(victim.user_id)
    yield "POST", "account/two-factor/recovery", {}
    yield "POST", "account/two-factor/totp", {"name": "Mine"}


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


def attack_everywhere(tally: Tally, url: str, victim: Victim, homeserver: str, where: str) -> None:
    wire = Wire(url)

    def attempt(attack: Attack, target: str, headers: dict | None = None) -> None:
        status, text = wire.send(attack, target, headers)
        safe = not TOKEN.search(text) and (attack.method == "GET" or not 200 <= status < 300)
        claim = f"{where}: {attack.method} {target} {headers or ''} {json.dumps(attack.body)}"
        tally.check(safe, claim, f"{status} {text}")

    seen = set()
    for attack in attacks(victim):
        for prefix in PREFIXES:
            path = prefix + attack.endpoint
            attempt(attack, path)
            # The spelling decides before the body is read, so one body is enough.
            key = (attack.method, path, bool(attack.token))
            if key not in seen:
                seen.add(key)
                for target in spellings(path, homeserver):
                    attempt(attack, target)
    password = next(attacks(victim))
    for headers in OVERRIDES:
        for method in ("GET", "PUT", "PATCH", "POST"):
            attempt(Attack(method, "", password.body), "/_matrix/client/v3/sync", headers)
            attempt(Attack(method, "", password.body), "/_matrix/client/v3/login", headers)


def refused_places(tally: Tally, url: str, victim: Victim, where: str) -> None:
    """What has no gate and leads around it."""
    wire = Wire(url)
    places = [
        ("GET", "/_synapse/admin/v1/register"),
        ("POST", "/_synapse/admin/v1/register"),
        ("GET", "/_synapse/admin/v2/users"),
        ("POST", f"/_synapse/admin/v1/users/{victim.user_id}/login"),
        ("POST", "/_synapse/client/myelin/mint"),
        ("GET", "/_synapse/client/myelin/version"),
        ("GET", "/_matrix/client/v1/auth_metadata"),
        ("GET", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata"),
        ("POST", "/_matrix/client/unstable/org.matrix.msc4108/rendezvous"),
        ("POST", "/_matrix/client/v1/rendezvous"),
        ("GET", "/_matrix/client/v3/login/cas/ticket?ticket=x&redirectUrl=http://x"),
        ("GET", "/_tuwunel/oidc/authorize"),
        ("GET", "/_continuwuity/oauth2/authorize"),
    ]
    for method, path in places:
        for target in spellings(path, url):
            status, text = wire.send(Attack(method, "", {}, victim.token), target)
            claim = f"{where}: {method} {target} leads nowhere"
            nowhere = status in (0, 400, 404, 405) and "nonce" not in text
            tally.check(nowhere, claim, f"{status} {text}")


def pages(tally: Tally, url: str, victim: Victim, where: str) -> None:
    """The pages to sign in on are Myelin's, not the homeserver's."""
    wire = Wire(url)
    for path in ("/_matrix/static/client/login/", "/_matrix/client/v3/login/sso/redirect"):
        attack = Attack("GET", "", {}, victim.token)
        for target in spellings(path.rstrip("/"), url):
            status, text = wire.send(attack, target + "?redirectUrl=http://x")
            ours = status in (0, 400, 404, 405) or (status < 400 and "/account/" in text)
            tally.check(ours, f"{where}: GET {target} is Myelin's", f"{status} {text}")


def controls(tally: Tally, url: str, victim: Victim, where: str, *, straight: bool) -> None:
    """The gate opens to those for whom it should: the attacks failed for a reason."""
    wire = Wire(url)
    for path, goes_straight in {"sync": straight, "capabilities": False}.items():
        status, text = wire.send(Attack("GET", "", {}, victim.token), "/_matrix/client/v3/" + path)
        tally.check(status == 200, f"{where}: {path} works", text)
        went_straight = "x-straight: 1" in text.lower()
        tally.check(went_straight == goes_straight, f"{where}: {path} goes its way", text)
    plain = Person(url, f"plain-{secrets.token_hex(4)}")
    plain.register()
    tally.check(plain.login_request().status_code == 200, f"{where}: a plain login works")
    gone = plain.login_request().json()["device_id"]
    tally.check(plain.confirmed("DELETE", f"/devices/{gone}", None) == {}, f"{where}: UIA works")


def finish(tally: Tally, stack: Stack, victim: Victim) -> None:
    """The second factor itself still works, and then the operation does."""
    person = Person(stack.url, victim.name)
    session = person.password_stage()
    code = victim.code(time.time())
    login = person.second_stage(session, "m.login.2fa.totp", code)
    tally.check(login.status_code == 200, "the victim logs in with a code", login.text)


def registered_by_secret(tally: Tally, url: str) -> None:
    """Whoever has the shared secret for registration makes no administrator here."""
    nonce = requests.get(url + "/_synapse/admin/v1/register", timeout=30).json().get("nonce", "")
    parts = [nonce, "mallory", PASSWORD, "admin"]
    mac = hmac.new(SHARED_SECRET.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": "mallory", "password": PASSWORD, "admin": True, "mac": mac}
    answer = requests.post(url + "/_synapse/admin/v1/register", json=body, timeout=30)
    tally.check(answer.status_code == 404, "no administrator is made", answer.text)


def run(tally: Tally, stack: Stack) -> None:
    name = f"{stack.kind}, {stack.database}"
    victim = Victim(stack.url, f"victim-{secrets.token_hex(4)}")
    victim.prepare()
    before = victim.state(stack.direct)
    with ExitStack() as proxies:
        places = [(stack.url, "at the gateway")]
        for proxy in PROXIES[stack.kind]:
            places.append((proxies.enter_context(stack.behind(proxy)), f"through {proxy}"))
        for url, place in places:
            where = f"{name}, {place}"
            controls(tally, url, victim, where, straight=url != stack.url)
            attack_everywhere(tally, url, victim, stack.direct, where)
            refused_places(tally, url, victim, where)
            pages(tally, url, victim, where)
            registered_by_secret(tally, url)
    if stack.kind == "generic":
        # The attacks would work where nothing stands in their way.
        login = Person(stack.direct, victim.name).login_request()
        tally.check(login.status_code == 200, "an open Synapse lets in", login.text)
        victim.forget(stack.direct, login.json()["access_token"])
    if stack.kind == "synapse":
        attack_everywhere(tally, stack.direct, victim, stack.direct, f"{name}, at Synapse's port")
    tally.check(victim.state(stack.direct) == before, f"{name}: nothing has changed")
    finish(tally, stack, victim)


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()
    for kind, database in itertools.product(("generic", "synapse"), ("sqlite", "postgres")):
        with Stack(tools, kind, database) as stack:
            run(tally, stack)
    tally.end()


if __name__ == "__main__":
    main()
