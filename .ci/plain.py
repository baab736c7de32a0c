#!/usr/bin/env python3
"""Users without a second factor notice nothing.

Sends the same requests to a plain Synapse and through the gateway, in the
spirit of SyTest's login, registration, UI-auth, devices, change-password,
deactivation and logout tests, and compares status and shape of the answers.
What a login says about other servers is compared by value.
"""

import itertools
import secrets
import sys
from typing import Any

import requests

from life import PASSWORD
from stack import Stack, Tally, Tools

# What is meant to differ: the step, and what of its answer is not compared.
UNCOMPARED = {
    # Only what the gateway lets in: no JWT, no stage of the module's.
    "the types of login": {"flows"},
    # `m.two_factor` is added.
    "capabilities": {"capabilities"},
}
# What is meant to differ: the step, and what the gateway answers.
INTENDED = {
    # The gateway reads the request first, and says what is missing.
    "login without a type": (400, "M_MISSING_PARAM"),
    "login without an identifier": (400, "M_MISSING_PARAM"),
    "login without a password": (400, "M_MISSING_PARAM"),
    # The gateway knows which types there are.
    "login with an unknown type": (400, "M_UNKNOWN"),
    # A session that ended is not an error to be shown: the client may start again.
    "delete a device with a session that is not": (401, "M_FORBIDDEN"),
    "delete a device with an unknown stage": (401, "M_FORBIDDEN"),
    # What is in the body is the homeserver's to judge, and that is after the proof.
    "delete devices: none are named": (401, None),
}
# What Synapse has to say besides its own address.
SYNAPSE = {
    "default_identity_server": "https://identity.example.org",
    "extra_well_known_client_content": {"org.example.tiles": {"style": "https://tiles.example.org"}},
}
# Free text, and what means the same when it is left out.
TEXT = {"error"}
EMPTY = {"completed": [], "soft_logout": False}


class Steps:
    """The answers of one server, by step."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, tuple[int, Any]] = {}
        # What clients are told of where to go, by the step that tells it.
        self.well_known: dict[str, Any] = {}

    def ask(
        self,
        step: str,
        method: str,
        path: str,
        body: object = None,
        token: str = "",
        raw: str | None = None,
    ) -> dict:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}/_matrix/client/{path if path.startswith('r0/') else 'v3/' + path}"
        answer = requests.request(method, url, headers=headers, json=body, data=raw, timeout=30)
        parsed = answer.json() if answer.text else {}
        shape = shape_of(parsed, UNCOMPARED.get(step, set()))
        if step in self.answers:
            sys.exit(f"two steps are called: {step}")
        self.answers[step] = (answer.status_code, shape)
        if "well_known" in parsed:
            self.well_known[step] = parsed["well_known"]
        return parsed

    def uia(self, step: str, method: str, path: str, body: dict, auth: dict, token: str) -> dict:
        """Both requests of an operation that asks for proof."""
        challenge = self.ask(f"{step}, without proof", method, path, body, token)
        proof = auth | {"session": challenge.get("session", "")}
        return self.ask(step, method, path, body | {"auth": proof}, token)


def shape_of(value: object, without: set[str]) -> object:
    """Keys and types; of errors and flows, which ones."""
    if isinstance(value, dict):
        known = {"errcode", "flows", "completed", "params", "soft_logout"}
        return {
            key: (canonical(item) if key in known else shape_of(item, set()))
            for key, item in sorted(value.items())
            if key not in without | TEXT and (key not in EMPTY or item != EMPTY[key])
        }
    if isinstance(value, list):
        return ["list"]
    return type(value).__name__


def canonical(value: object) -> object:
    if isinstance(value, list):
        return sorted(str(item) for item in value)
    if isinstance(value, dict):
        # A stage without parameters may be left out.
        return {key: str(item) for key, item in value.items() if item}
    return str(value)


def password(user: str, word: str = PASSWORD) -> dict:
    identifier = {"type": "m.id.user", "user": user}
    return {"type": "m.login.password", "identifier": identifier, "password": word}


def live(steps: Steps, name: str) -> None:
    """A whole life of an account."""
    ask = steps.ask
    token, user_id = registration(steps, name)
    logins(steps, name, user_id)
    devices(steps, name, token)
    keys_and_addresses(steps, name, user_id, token)
    logouts(steps, name)
    token = change_password(steps, name, token)
    body = {"erase": False}
    ask("deactivate with a wrong password", "POST", "account/deactivate",
        body | {"auth": password(name)}, token)  # fmt: skip
    steps.uia("deactivate", "POST", "account/deactivate", body, password(name, "new " * 4), token)
    ask("login after deactivation", "POST", "login", password(name, "new " * 4))
    ask("whoami after deactivation", "GET", "account/whoami", token=token)


def registration(steps: Steps, name: str) -> tuple[str, str]:
    ask = steps.ask
    body = {"username": name, "password": PASSWORD}
    ask("the types of login", "GET", "login")
    ask("is a name free", "GET", f"register/available?username={name}")
    ask("is a bad name free", "GET", "register/available?username=A!")
    ask("register: no JSON", "POST", "register", raw="no JSON")
    ask("register: a bad name", "POST", "register", {**body, "username": "A !"})
    ask("register: a name of a number", "POST", "register", {**body, "username": 5})
    ask("register: a guest", "POST", "register?kind=guest", {})
    ask("register: a kind that is not", "POST", "register?kind=king", {})
    dummy = {"type": "m.login.dummy"}
    made = steps.uia("register", "POST", "register", body, dummy, "")
    ask("register: the name is taken", "POST", "register", body)
    ask("is a taken name free", "GET", f"register/available?username={name}")
    other = {**body, "username": name + "-2", "inhibit_login": True}
    steps.uia("register without a login", "POST", "register", other, dummy, "")
    old = {**body, "username": name + "-3"}
    steps.uia("register under r0", "POST", "r0/register", old, dummy, "")
    return made["access_token"], made["user_id"]


def logins(steps: Steps, name: str, user_id: str) -> None:
    ask = steps.ask
    right = password(name)
    ask("login", "POST", "login", right)
    ask("login under r0", "POST", "r0/login", right)
    ask("login with the whole ID", "POST", "login", password(user_id))
    ask("login in capitals", "POST", "login", password(name.upper()))
    ask("login with a device", "POST", "login",
        right | {"device_id": "PHONE", "initial_device_display_name": "Phone"})  # fmt: skip
    ask("login in the old form", "POST", "login",
        {"type": "m.login.password", "user": name, "password": PASSWORD})  # fmt: skip
    ask("login with a wrong password", "POST", "login", password(name, "wrong"))
    ask("login of nobody", "POST", "login", password("nobody"))
    ask("login of somebody elsewhere", "POST", "login", password("@alice:elsewhere.test"))
    ask("login without a type", "POST", "login", {})
    ask("login with an unknown type", "POST", "login", {"type": "m.login.unknown"})
    ask(
        "login without an identifier",
        "POST",
        "login",
        {"type": "m.login.password", "password": "x"},
    )
    ask("login without a password", "POST", "login", {k: right[k] for k in ("type", "identifier")})
    ask("login: no JSON", "POST", "login", raw="no JSON")
    ask("login: a list", "POST", "login", [])
    mail = {"type": "m.id.thirdparty", "medium": "email", "address": "a@example.org"}
    ask("login with an unknown address", "POST", "login", right | {"identifier": mail})
    refreshed = ask("login for refresh tokens", "POST", "login", right | {"refresh_token": True})
    again = {"refresh_token": refreshed.get("refresh_token", "")}
    ask("refresh", "POST", "refresh", again)
    ask("refresh with a wrong token", "POST", "refresh", {"refresh_token": "wrong"})
    ask("capabilities without a token", "GET", "capabilities")
    ask("capabilities", "GET", "capabilities", token=refreshed["access_token"])


def devices(steps: Steps, name: str, token: str) -> None:
    ask, right = steps.ask, password(name)
    ask("devices", "GET", "devices", token=token)
    ask("devices without a token", "GET", "devices")
    ask("a device", "GET", "devices/PHONE", token=token)
    ask("a device that is not", "GET", "devices/NONE", token=token)
    ask("rename a device", "PUT", "devices/PHONE", {"display_name": "New"}, token)
    path = "devices/PHONE"
    ask("delete a device without a token", "DELETE", path, {})
    ask("delete a device with a wrong token", "DELETE", path, {}, "wrong")
    wrong = right | {"password": "wrong"}
    ask("delete a device with a session that is not", "DELETE", path,
        {"auth": right | {"session": "none"}}, token)  # fmt: skip
    steps.uia("delete a device with a wrong password", "DELETE", path, {}, wrong, token)
    steps.uia("delete a device as somebody else", "DELETE", path, {}, password(name + "-2"), token)
    steps.uia("delete a device with an unknown stage", "DELETE", path, {}, {"type": "none"}, token)
    steps.uia("delete a device", "DELETE", path, {}, right, token)
    ask("the device is gone", "GET", path, token=token)
    steps.uia("delete it again", "DELETE", path, {}, right, token)
    ids = [ask(f"login {n} more", "POST", "login", right)["device_id"] for n in range(2)]
    steps.uia("delete devices", "POST", "delete_devices", {"devices": ids}, right, token)
    ask("delete devices: none are named", "POST", "delete_devices", {}, token)


def keys_and_addresses(steps: Steps, name: str, user_id: str, token: str) -> None:
    def keys(public: str) -> dict:
        key = {"user_id": user_id, "usage": ["master"], "keys": {f"ed25519:{public}": public}}
        return {"master_key": key}

    ask, path = steps.ask, "keys/device_signing/upload"
    ask("the first keys", "POST", path, keys("A" * 43), token)
    ask("the same keys again", "POST", path, keys("A" * 43), token)
    steps.uia("other keys", "POST", path, keys("B" * 42 + "A"), password(name), token)
    ask("addresses", "GET", "account/3pid", token=token)
    sid = {"client_secret": "secret", "sid": "1"}
    steps.uia("add an address that was not proven", "POST", "account/3pid/add", sid,
              password(name), token)  # fmt: skip


def logouts(steps: Steps, name: str) -> None:
    ask = steps.ask
    token = ask("login to log out", "POST", "login", password(name))["access_token"]
    ask("whoami", "GET", "account/whoami", token=token)
    ask("logout", "POST", "logout", {}, token)
    ask("whoami after logout", "GET", "account/whoami", token=token)
    ask("logout again", "POST", "logout", {}, token)
    ask("logout without a token", "POST", "logout", {})
    ask("whoami without a token", "GET", "account/whoami")
    other = name + "-2"
    token = ask("login of another", "POST", "login", password(other))["access_token"]
    ask("logout of all", "POST", "logout/all", {}, token)
    ask("whoami after logout of all", "GET", "account/whoami", token=token)


def change_password(steps: Steps, name: str, token: str) -> str:
    ask = steps.ask
    path, new = "account/password", {"new_password": "new " * 4, "logout_devices": False}
    ask("change the password without a token", "POST", path, new)
    steps.uia("change the password", "POST", path, new, password(name), token)
    ask("login with the old password", "POST", "login", password(name))
    fresh = ask("login with the new password", "POST", "login", password(name, "new " * 4))
    ask("the token still works", "GET", "account/whoami", token=token)
    logout = {"new_password": "new " * 4, "logout_devices": True}
    steps.uia("change it and log out the others", "POST", path, logout,
              password(name, "new " * 4), fresh["access_token"])  # fmt: skip
    ask("the other token is gone", "GET", "account/whoami", token=token)
    return fresh["access_token"]


def discover(steps: Steps) -> None:
    """Before anybody logs in."""
    url = f"{steps.url}/.well-known/matrix/client"
    steps.well_known["discovery"] = requests.get(url, timeout=30).json()


def where_to_go(tally: Tally, name: str, plain: Steps, steps: Steps) -> None:
    """Clients are told to go to the gateway, and for all else what Synapse tells them."""
    tally.check(len(plain.well_known) > 5, f"{name}: there is something to compare")
    for step, told in plain.well_known.items():
        own = told["m.homeserver"] | {"base_url": steps.url}
        expected = told | {"m.homeserver": own}
        seen = steps.well_known.get(step)
        claim = f"{name}: {step}: what is well known"
        tally.check(seen == expected, claim, f"{seen}, not {expected}")


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()
    name = f"plain-{secrets.token_hex(4)}"
    with Stack(tools, "plain", synapse=SYNAPSE) as stack:
        plain = Steps(stack.url)
        discover(plain)
        live(plain, name)
    for kind, database in itertools.product(("generic", "synapse"), ("sqlite", "postgres")):
        with Stack(tools, kind, database, synapse=SYNAPSE) as stack:
            steps = Steps(stack.url)
            discover(steps)
            live(steps, name)
        where_to_go(tally, f"{kind}, {database}", plain, steps)
        for step, expected in plain.answers.items():
            seen = steps.answers[step]
            if step in INTENDED:
                expected = INTENDED[step]
                seen = seen[0], seen[1].get("errcode")
            tally.check(seen == expected, f"{kind}, {database}: {step}", f"{seen}, not {expected}")
    tally.end()


if __name__ == "__main__":
    main()
