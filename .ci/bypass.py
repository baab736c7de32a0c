#!/usr/bin/env python3
"""Tries to get around the second factor, in front of a real Synapse.

A user with a second factor is attacked by someone with the password, and by
someone with a stolen access token: on every way in, under every prefix, in
every spelling of the path; at the gateway, through nginx, HAProxy and Caddy as
`myelin routes` configures them, and with the module at Synapse's own port.

An attack has failed if it was told so, and if nothing reached Synapse that
could have had an effect there, whatever Synapse made of it.
"""

import hashlib
import hmac
import itertools
import json
import re
import secrets
import time
from contextlib import ExitStack

import requests

from attacks import (
    OPEN_TO_A_TOKEN,
    OVERRIDES,
    PREFIXES,
    SYNAPSE,
    Attack,
    Victim,
    Wire,
    attacks,
    operations,
    readings,
    spellings,
)
from life import PASSWORD, Person
from recorder import Exchange, Recorder
from stack import SHARED_SECRET, Stack, Tally, Tools

# Through which proxies, before which adapter: the path is read by the proxy.
PROXIES = {"generic": ["nginx", "haproxy"], "synapse": ["nginx", "caddy"]}
# What a way around would give.
TOKEN = re.compile(r'"(access_token|login_token|nonce)"')


LOGIN, LOGOUT = "/_matrix/client/v3/login", "/_matrix/client/v3/logout"


def is_myelins_own(one: Exchange) -> bool:
    """Whether Myelin asks this for itself, before there is a second factor."""
    if one.path == LOGIN and "application_service" not in one.request:
        probe = "user-agent: myelin-probe/" in one.request.lower()
        check = '"initial_device_display_name":"Password check by the sign-in gateway"'
        return probe or check in one.request
    if one.path.endswith("/login") and one.status != 200:
        # It needs the token of the application service, which nobody has here.
        return '"type":"m.login.application_service"' in one.request
    return one.path in (LOGOUT, "/_matrix/client/v3/keys/query")


def leads_nowhere(one: Exchange) -> bool:
    """Whether it is a path of which Synapse knows nothing."""
    if one.answer.startswith("{"):
        return one.answered("errcode") == "M_UNRECOGNIZED"
    return one.status in (400, 404, 405)


def effects(seen: list[Exchange], *, strict: bool) -> list[str]:
    """What could have had an effect; `strict` also counts paths that are no one's."""
    found, logged_in = [], {}
    for one in seen:
        token = one.answered("access_token")
        if one.method == "POST" and one.path == LOGIN and token:
            logged_in[token] = f"{one.line} {one.status}"
        if one.path == LOGOUT and one.status == 200:
            logged_in.pop(one.bearer, None)
        if one.method in ("GET", "HEAD", "OPTIONS") or is_myelins_own(one):
            continue
        if strict or not leads_nowhere(one):
            found.append(f"{one.line} {one.status}")
    return [*found, *logged_in.values()]


class Place:
    """Where one attacks, and how one is judged there."""

    def __init__(self, tally: Tally, url: str, name: str, recorder: Recorder) -> None:
        self.tally, self.url, self.name, self.recorder = tally, url, name, recorder
        self.wire = Wire(url)

    def attempt(self, attack: Attack, target: str, headers: dict | None = None) -> None:
        """Attacks; the path of a gated endpoint is one that must not be seen at all."""
        self.recorder.take()
        status, text = self.wire.send(attack, target, headers)
        refused = not TOKEN.search(text) and (attack.method == "GET" or not 200 <= status < 300)
        plain = {prefix + attack.endpoint for prefix in PREFIXES[:5]}
        reached = effects(self.recorder.take(), strict=target in plain)
        claim = f"{self.name}: {attack.method} {target} {headers or ''} {json.dumps(attack.body)}"
        self.tally.check(refused, claim, f"{status} {text}")
        self.tally.check(attack.passes or not reached, f"{claim} stays outside", reached)


def attack_everywhere(place: Place, victim: Victim, homeserver: str, *, skip: set[str]) -> None:
    seen = set()
    for attack in attacks(victim):
        if attack.endpoint in skip:
            continue
        for prefix in PREFIXES:
            path = prefix + attack.endpoint
            place.attempt(attack, path)
            # The spelling decides before the body is read, so one body is enough.
            key = (attack.method, path, bool(attack.token))
            if key not in seen:
                seen.add(key)
                for target in spellings(path, homeserver):
                    place.attempt(attack, target)
    password = next(attacks(victim))
    for headers in OVERRIDES:
        for method in ("GET", "PUT", "PATCH", "POST"):
            place.attempt(Attack(method, "", password.body), "/_matrix/client/v3/sync", headers)
            place.attempt(Attack(method, "", password.body), LOGIN, headers)


def two_readings(place: Place, victim: Victim) -> None:
    """Whose token is stolen is not acted for by a request that seems to be the thief's."""
    thief = Person(place.url, f"thief-{secrets.token_hex(4)}")
    thief.register()
    identifier = {"type": "m.id.user", "user": thief.user_id}
    auth = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
    for method, endpoint, body in operations(victim):
        for query, headers in readings(victim.token, thief.token):
            target = f"/_matrix/client/v3/{endpoint}{query}"
            for proof in ({}, {"auth": auth}):
                place.recorder.take()
                _, text = place.wire.send(Attack(method, endpoint, body | proof), target, headers)
                seen = place.recorder.take()
                claim = f"{place.name}: {method} {target} {headers} {proof}"
                named = [one.line for one in seen if victim.token in one.request]
                if ";" not in query:
                    # A proxy may have left one token: then the victim asks, and is gated.
                    named = effects(seen, strict=True)
                place.tally.check(not named, f"{claim} does not name the victim", named)
                sessions = [one.answered("session") for one in seen]
                shown = any(session and session in text for session in sessions)
                place.tally.check(not shown, f"{claim} shows no session of Synapse's", text)
    still = thief.send("GET", "/account/whoami", {}).status_code
    place.tally.check(still == 200, f"{place.name}: the thief's own token was good", still)


def guests(place: Place, victim: Victim) -> None:
    """Whoever registers as a guest is somebody new, and not the victim."""
    wire = place.wire
    for prefix in PREFIXES:
        path = f"{prefix}register?kind=guest"
        place.recorder.take()
        with_password = {"auth": victim.password_stage_dict()}
        _, text = wire.send(Attack("POST", "register", with_password), path)
        reached = effects(place.recorder.take(), strict=prefix in PREFIXES[:5])
        claim = f"{place.name}: POST {path} takes no password"
        place.tally.check(not reached and not TOKEN.search(text), claim, f"{reached} {text}")
        _, text = wire.send(Attack("POST", "register", {}), path)
        place.tally.check(victim.user_id not in text, f"{place.name}: POST {path}", text)
    guest = requests.post(place.url + path.replace(prefix, PREFIXES[0]), json={}, timeout=30).json()
    place.tally.check("access_token" in guest, f"{place.name}: guests are let in", guest)
    body = {"new_password": "x" * 12, "auth": victim.password_stage_dict()}
    attack = Attack("POST", "account/password", body, guest.get("access_token", ""))
    place.attempt(attack, PREFIXES[0] + attack.endpoint)


def refused_places(place: Place, victim: Victim) -> None:
    """What has no gate and leads around it."""
    tally, wire = place.tally, place.wire
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
        for target in spellings(path, place.url):
            place.recorder.take()
            status, text = wire.send(Attack(method, "", {}, victim.token), target)
            claim = f"{place.name}: {method} {target} leads nowhere"
            nowhere = status in (0, 400, 404, 405) and "nonce" not in text
            tally.check(nowhere, claim, f"{status} {text}")
            seen = place.recorder.take()
            reached = [one.line for one in seen if target == path or not leads_nowhere(one)]
            tally.check(not reached, f"{claim}, and not to Synapse", reached)


def pages(place: Place, victim: Victim) -> None:
    """The pages to sign in on are Myelin's, not the homeserver's."""
    wire = place.wire
    for path in ("/_matrix/static/client/login/", "/_matrix/client/v3/login/sso/redirect"):
        attack = Attack("GET", "", {}, victim.token)
        for target in spellings(path.rstrip("/"), place.url):
            status, text = wire.send(attack, target + "?redirectUrl=http://x")
            ours = status in (0, 400, 404, 405) or (status < 400 and "/account/" in text)
            claim = f"{place.name}: GET {target} is Myelin's"
            place.tally.check(ours, claim, f"{status} {text}")


def controls(place: Place, victim: Victim, *, straight: bool) -> None:
    """The gate opens to those for whom it should: the attacks failed for a reason."""
    tally, url, where, wire = place.tally, place.url, place.name, place.wire
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


def finish(tally: Tally, stack: Stack, recorder: Recorder, victim: Victim) -> None:
    """The second factor itself still works, and with it every operation is done."""
    person = Person(stack.url, victim.name)
    session = person.password_stage()
    code = victim.code(time.time())
    login = person.second_stage(session, "m.login.2fa.totp", code)
    tally.check(login.status_code == 200, "the victim logs in with a code", login.text)
    for method, endpoint, body in operations(victim):
        recorder.take()
        answer = victim.operate(method, f"/{endpoint}", body)
        claim = f"{stack.kind}: {method} {endpoint} with a second factor"
        known = 404 if "msc3967" in endpoint else 200
        tally.check(answer.status_code == known, f"{claim} is done", answer.text)
        arrived = [one.path for one in recorder.take() if one.method == method]
        is_synapses = "two-factor" not in endpoint and "token" not in endpoint
        reached = f"/_matrix/client/v3/{endpoint}" in arrived
        tally.check(reached == is_synapses, f"{claim} reaches Synapse", arrived)
        if endpoint == "account/3pid/add":
            added = victim.address in json.dumps(victim.state(stack.direct))
            tally.check(added, f"{claim} adds the address")
        victim.recovery_codes = answer.json().get("recovery_codes", victim.recovery_codes)
        victim.password = body.get("new_password", victim.password)


def login_token(tally: Tally, stack: Stack, victim: Victim) -> None:
    """The login token with which the gateway was attacked is one that Synapse takes."""
    body = {"type": "m.login.token", "token": victim.login_token}
    login = requests.post(stack.direct + LOGIN, json=body, timeout=30)
    if stack.kind == "generic":
        tally.check(login.status_code == 200, "an open Synapse takes the token", login.text)
        victim.forget(stack.direct, login.json()["access_token"])
    else:
        refused = login.status_code == 403 and "second factor" in login.text
        tally.check(refused, "the module lets nobody in with the token", login.text)


def registered_by_secret(tally: Tally, url: str) -> None:
    """Whoever has the shared secret for registration makes no administrator here."""
    nonce = requests.get(url + "/_synapse/admin/v1/register", timeout=30).json().get("nonce", "")
    parts = [nonce, "mallory", PASSWORD, "admin"]
    mac = hmac.new(SHARED_SECRET.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": "mallory", "password": PASSWORD, "admin": True, "mac": mac}
    answer = requests.post(url + "/_synapse/admin/v1/register", json=body, timeout=30)
    tally.check(answer.status_code == 404, "no administrator is made", answer.text)


def run(tally: Tally, stack: Stack, recorder: Recorder) -> None:
    name = f"{stack.kind}, {stack.database}"
    victim = Victim(stack.url, f"victim-{secrets.token_hex(4)}")
    victim.prepare(stack)
    before = victim.state(stack.direct)
    with ExitStack() as proxies:
        places = [(stack.url, "at the gateway")]
        for proxy in PROXIES[stack.kind]:
            places.append((proxies.enter_context(stack.behind(proxy)), f"through {proxy}"))
        for url, where in places:
            place = Place(tally, url, f"{name}, {where}", recorder)
            controls(place, victim, straight=url != stack.url)
            attack_everywhere(place, victim, stack.direct, skip=set())
            two_readings(place, victim)
            guests(place, victim)
            refused_places(place, victim)
            pages(place, victim)
            registered_by_secret(tally, url)
    login_token(tally, stack, victim)
    if stack.kind == "generic":
        # The attacks would work where nothing stands in their way.
        login = Person(stack.direct, victim.name).login_request()
        tally.check(login.status_code == 200, "an open Synapse lets in", login.text)
        victim.forget(stack.direct, login.json()["access_token"])
    if stack.kind == "synapse":
        place = Place(tally, stack.direct, f"{name}, at Synapse's port", recorder)
        attack_everywhere(place, victim, stack.direct, skip=OPEN_TO_A_TOKEN)
    after = victim.state(stack.direct)
    tally.check(after == before, f"{name}: nothing has changed", after)
    finish(tally, stack, recorder, victim)


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()
    for kind, database in itertools.product(("generic", "synapse"), ("sqlite", "postgres")):
        recorder = Recorder()
        with Stack(tools, kind, database, synapse=SYNAPSE, recorder=recorder) as stack:
            run(tally, stack, recorder)
    tally.end()


if __name__ == "__main__":
    main()
