#!/usr/bin/env python3
"""The life of a second factor, seen from outside.

Usage: life.py http://localhost:8008

Registers, enrols with oathtool as the authenticator, logs in with a code, is
refused the same code twice, logs in with a recovery code, regenerates the
codes, removes the authenticator. Exits with 0 if everything went as the
proposal says; else says what did not.
"""

import secrets
import subprocess
import sys
import time

import requests

PERIOD = 30
# Longer than the server waits for a homeserver.
TIMEOUT_S = 60
PASSWORD = "correct horse battery staple"


def main(target: str) -> None:
    person = Person(target, f"life-{secrets.token_hex(4)}")

    step("registers")
    person.register()

    step("sets up an authenticator")
    wait_for_a_young_step()
    start = time.time()
    codes = person.enrol(start - PERIOD)
    expect(len(codes) == 10, f"ten recovery codes, not {len(codes)}")
    expect(person.remaining() == 10, "ten codes are left")

    step("logs in in two stages")
    session = person.password_stage()
    code = person.code(start)
    login = person.second_stage(session, "m.login.2fa.totp", code)
    expect(login.status_code == 200, login.text)
    expect(whoami(target, login.json()["access_token"]) == person.user_id, "the token works")

    step("is refused the same code twice")
    session = person.password_stage()
    for _ in range(2):
        refused(person.second_stage(session, "m.login.2fa.totp", code))

    step("logs in with a recovery code, once")
    login = person.second_stage(session, "m.login.2fa.recovery", codes[0].lower())
    expect(login.status_code == 200, login.text)
    expect(person.remaining() == 9, "nine codes are left")
    refused(person.second_stage(person.password_stage(), "m.login.2fa.recovery", codes[0]))

    step("regenerates the recovery codes")
    proof = ("m.login.2fa.totp", person.code(start + PERIOD))
    answer = person.confirmed("POST", "/account/two-factor/recovery", proof)
    new_codes = answer["recovery_codes"]
    expect(set(new_codes).isdisjoint(codes), "the codes are new")
    refused(person.second_stage(person.password_stage(), "m.login.2fa.recovery", codes[1]))

    step("removes the authenticator")
    authenticator = person.providers()["m.login.2fa.totp"]["authenticators"][0]["id"]
    proof = ("m.login.2fa.recovery", new_codes[0])
    person.confirmed("DELETE", f"/account/two-factor/totp/{authenticator}", proof)
    expect(person.providers() == {}, "no factor is left")
    login = person.login_request()
    expect(login.status_code == 200, login.text)


class Person:
    """Someone with a password, an authenticator app and an HTTP client."""

    def __init__(self, target: str, name: str) -> None:
        self.base = f"{target}/_matrix/client/v3"
        self.name = name
        self.user_id = ""
        self.token = ""
        self.secret = ""

    def send(self, method: str, path: str, body: dict) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = self.base + path
        return requests.request(method, url, json=body, headers=headers, timeout=TIMEOUT_S)

    def register(self) -> None:
        body = {"username": self.name, "password": PASSWORD}
        challenge = self.send("POST", "/register", body)
        expect(challenge.status_code == 401, challenge.text)
        body["auth"] = {"type": "m.login.dummy", "session": challenge.json()["session"]}
        answer = self.send("POST", "/register", body)
        expect(answer.status_code == 200, answer.text)
        self.user_id = answer.json()["user_id"]
        self.token = answer.json()["access_token"]

    def enrol(self, at: float) -> list[str]:
        begun = self.confirmed("POST", "/account/two-factor/totp", None, {"name": "Phone"})
        self.secret = begun["secret"]
        expect(begun["uri"].startswith("otpauth://totp/"), begun["uri"])
        path = f"/account/two-factor/totp/{begun['id']}/confirm"
        answer = self.send("POST", path, {"token": self.code(at)})
        expect(answer.status_code == 200, answer.text)
        return answer.json()["recovery_codes"]

    def code(self, at: float) -> str:
        """What an authenticator app shows at that time."""
        command = ["oathtool", "--totp", "--base32", f"--now=@{int(at)}", self.secret]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def login_request(self) -> requests.Response:
        identifier = {"type": "m.id.user", "user": self.name}
        body = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        return requests.post(self.base + "/login", json=body, timeout=TIMEOUT_S)

    def password_stage(self) -> str:
        challenge = self.login_request()
        expect(challenge.status_code == 401, challenge.text)
        body = challenge.json()
        expect(body["completed"] == ["m.login.password"], challenge.text)
        expect("access_token" not in body, "no token before the second factor")
        return body["session"]

    def second_stage(self, session: str, stage: str, token: str) -> requests.Response:
        body = {"auth": {"type": stage, "session": session, "token": token}}
        return requests.post(self.base + "/login", json=body, timeout=TIMEOUT_S)

    def confirmed(
        self, method: str, path: str, proof: tuple | None, body: dict | None = None
    ) -> dict:
        """An operation behind the password and, if there is one, a factor."""
        body = body or {}
        session = self.send(method, path, body).json()["session"]
        identifier = {"type": "m.id.user", "user": self.name}
        auth = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        answer = self.send(method, path, body | {"auth": auth | {"session": session}})
        if proof is not None:
            expect(answer.status_code == 401, answer.text)
            auth = {"type": proof[0], "token": proof[1], "session": session}
            answer = self.send(method, path, body | {"auth": auth})
        expect(answer.status_code == 200, answer.text)
        return answer.json()

    def providers(self) -> dict:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.get(self.base + "/account/two-factor", headers=headers, timeout=TIMEOUT_S)
        expect(answer.status_code == 200, answer.text)
        return answer.json()["providers"]

    def remaining(self) -> int:
        return self.providers()["m.login.2fa.recovery"]["remaining"]


def whoami(target: str, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{target}/_matrix/client/v3/account/whoami"
    return requests.get(url, headers=headers, timeout=TIMEOUT_S).json()["user_id"]


def refused(answer: requests.Response) -> None:
    expect(answer.status_code == 401, answer.text)
    expect(answer.json()["errcode"] == "M_FORBIDDEN", answer.text)


def wait_for_a_young_step() -> None:
    """The codes of this step and its neighbours must last for the whole life."""
    left = PERIOD - time.time() % PERIOD
    if left < 12:
        time.sleep(left)


def step(what: str) -> None:
    print(f"- {what}", flush=True)


def expect(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"not so: {what}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"))
