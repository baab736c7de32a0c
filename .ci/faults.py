#!/usr/bin/env python3
"""Synapse is stopped under a running Myelin, then a broken server takes its
place, then Myelin's own database is stopped.

While one of them is away everybody gets a Matrix error and nobody a login;
afterwards all goes on without a restart, and a code that was used is not good
again. In the end no device is left that nobody uses.
"""

import itertools
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests

from doctor import myelin
from life import PASSWORD, PERIOD, Person, expect, wait_for_a_young_step
from stack import Stack, Tally, Tools

GIB = 1024**3
MEMORY_LIMIT_KIB = 128 * 1024


def head(content: str, length: int, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {length}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


def huge() -> Iterator[bytes]:
    yield head("application/json", GIB) + b'{"user_id":"'
    while True:
        yield b"a" * 65536


def trickle() -> Iterator[bytes]:
    yield head("application/json", 1000) + b"{"
    while True:
        time.sleep(1)
        yield b" "


HTML = b"<html><body>It works!</body></html>"
# What a broken homeserver sends before it closes the connection.
BROKEN = {
    "HTML": lambda: [head("text/html", len(HTML)) + HTML],
    "HTML and 500": lambda: [head("text/html", len(HTML), "500 Internal Server Error") + HTML],
    "an empty object": lambda: [head("application/json", 2) + b"{}"],
    "a gigabyte": huge,
    "half a body": lambda: [head("application/json", 1000) + b'{"user_id":"@'],
    "a byte a second": trickle,
}


# What is a success of an operation, though of nothing else.
SUCCESS = "an empty object"
# Operations, each with what it is to do, and what the audit log calls it.
OPERATIONS = {
    "/account/password": {"new_password": "a new password", "logout_devices": False},
    "/delete_devices": {"devices": ["NONE"]},
}
OPERATIONS_DONE = {"/account/password": "password_changed", "/delete_devices": "devices_deleted"}


def read_request(connection: socket.socket) -> str:
    """All of it: closing with something unread would break off the answer."""
    with connection.makefile("rb") as stream:
        lines = list(iter(stream.readline, b"\r\n"))
        fields = dict(line.lower().split(b":", 1) for line in lines if b":" in line)
        stream.read(int(fields.get(b"content-length", 0)))
    return b"".join(lines).decode()


@contextmanager
def broken_homeserver(
    url: str, answer: Callable[[], Iterable[bytes]], users: dict[str, str]
) -> Iterator[None]:
    """Answers whatever it is asked at this address in the same way.

    But it knows whose the tokens of `users` are: else no operation would come to it.
    """

    def who(request: str) -> list[bytes]:
        user_id = next(user_id for token, user_id in users.items() if token in request)
        known = json.dumps({"user_id": user_id, "device_id": "DEVICE"}).encode()
        return [head("application/json", len(known)) + known]

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                request = read_request(connection)
                for part in who(request) if "/account/whoami" in request else answer():
                    connection.sendall(part)
            except OSError:
                pass  # Nobody listens any more.

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=[connection], daemon=True).start()

    at = urlsplit(url)
    with socket.create_server((at.hostname, at.port)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def is_matrix_error(answer: requests.Response, *statuses: int) -> bool:
    is_json = answer.headers.get("content-type") == "application/json"
    known = is_json and answer.json().get("errcode") == "M_UNKNOWN"
    return known and answer.status_code in statuses


class Owner(Person):
    """Someone who has begun an operation, and come as far as the last stage."""

    def prepare(self, path: str, what: str) -> None:
        self.path, self.body, self.what = path, OPERATIONS[path], what
        self.register()
        wait_for_a_young_step()
        code, self.other, *_ = self.enrol(time.time() - PERIOD)
        self.session = self.password_stage()
        self.last = self.all_but_the_last({"type": "m.login.2fa.recovery", "token": code})

    def all_but_the_last(self, second: dict) -> dict:
        """The `auth` that is left. The order of the stages is the server's."""
        asked = self.send("POST", self.path, self.body).json()
        flows = (flow["stages"] for flow in asked["flows"])
        stages = next(stages for stages in flows if second["type"] in stages)
        identifier = {"type": "m.id.user", "user": self.user_id}
        password = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        proofs = {proof["type"]: proof for proof in (password, second)}
        first, last = (proofs[stage] | {"session": asked["session"]} for stage in stages)
        passed = self.finish(first).json()
        expect(passed.get("completed") == stages[:1], str(passed))
        return last

    def finish(self, auth: dict) -> requests.Response:
        return self.send("POST", self.path, self.body | {"auth": auth})


def devices(stack: Stack, person: Person) -> list[str]:
    """As Synapse itself says."""
    headers = {"Authorization": f"Bearer {person.token}"}
    url = f"{stack.direct}/_matrix/client/v3/devices"
    listed = requests.get(url, headers=headers, timeout=30).json()["devices"]
    return [device.get("display_name") or "" for device in listed]


def run(tally: Tally, stack: Stack) -> None:
    # What a homeserver answers does not depend on Myelin's database.
    broken = BROKEN if stack.database == "sqlite" else {}
    owners = []
    for path, what in itertools.product(OPERATIONS, broken):
        # Nonsense says nothing of what is proven: but it is a success of an operation.
        if what != SUCCESS:
            owners.append(Owner(stack.url, f"owner-{secrets.token_hex(4)}"))
            owners[-1].prepare(path, what)
    person = Person(stack.url, f"faults-{secrets.token_hex(4)}")
    person.register()
    wait_for_a_young_step()
    start = time.time()
    codes = dict(zip(BROKEN, person.enrol(start - PERIOD), strict=False))
    sessions = {what: person.password_stage() for what in BROKEN}
    session = person.password_stage()
    code = person.code(start)

    stack.synapse.stop()
    for what, answer in {
        "a password": person.login_request(),
        "a code": person.second_stage(session, "m.login.2fa.totp", code),
        "a forwarded request": person.send("GET", "/sync", {}),
    }.items():
        claim = f"{stack.kind}: {what} gets a Matrix error while Synapse is away"
        tally.check(is_matrix_error(answer, 502, 503), claim, answer.text)
    # Whom a token names is remembered for seconds: a question, and no more.
    answer = person.send("POST", "/delete_devices", {"devices": ["NONE"]})
    refused = answer.status_code == 401 or is_matrix_error(answer, 502, 503)
    tally.check(refused, f"{stack.kind}: no operation is done meanwhile", answer.text)
    # What /ready said holds for a second.
    time.sleep(1)
    alive = requests.get(stack.url + "/health", timeout=30).status_code
    ready = requests.get(stack.url + "/ready", timeout=30).status_code
    tally.check((alive, ready) == (200, 503), f"{stack.kind}: alive and not ready", (alive, ready))

    users = {owner.token: owner.user_id for owner in owners}
    for what, answer in broken.items():
        with broken_homeserver(stack.direct, answer, users):
            with ThreadPoolExecutor() as at_once:
                done = at_once.submit(operations_while_broken, tally, stack, owners, what)
                while_broken(tally, stack, person, what, sessions[what], codes[what])
                done.result()
            passed_through(tally, stack, what)
    if broken:
        memory = stack.myelin.peak_memory_kib()
        claim = f"{stack.kind}: no answer is kept that is too long"
        tally.check(memory < MEMORY_LIMIT_KIB, claim, memory)

    stack.start_synapse()
    if broken:
        nothing_was_done(tally, stack, owners)
    for what in broken:
        again = person.second_stage(person.password_stage(), "m.login.2fa.recovery", codes[what])
        claim = f"{stack.kind}: a code that was spent on {what} is not good again"
        tally.check(again.status_code == 401, claim, again.text)
    again = person.second_stage(person.password_stage(), "m.login.2fa.totp", code)
    tally.check(again.status_code == 401, f"{stack.kind}: a code is not good again", again.text)
    following = person.code(start + PERIOD)
    login = person.second_stage(person.password_stage(), "m.login.2fa.totp", following)
    tally.check(login.status_code == 200, f"{stack.kind}: the next code is good", login.text)
    sync = person.send("GET", "/sync", {})
    tally.check(sync.status_code == 200, f"{stack.kind}: sync works again", sync.text)
    if stack.database == "postgres":
        without_database(tally, stack, person, start + 2 * PERIOD)
    seen = devices(stack, person)
    logins = 3 if stack.database == "postgres" else 2
    tally.check(len(seen) == logins, f"{stack.kind}: no other device is left", seen)
    unseen = not any("Password check" in name for name in seen)
    tally.check(unseen, f"{stack.kind}: no device of a check is left", seen)


def while_broken(
    tally: Tally, stack: Stack, person: Person, what: str, session: str, code: str
) -> None:
    """The homeserver answers nonsense between the password and the code."""
    with ThreadPoolExecutor() as at_once:
        asked = {
            "a password": at_once.submit(person.login_request),
            "a code": at_once.submit(person.second_stage, session, "m.login.2fa.recovery", code),
        }
    for stage, answered in asked.items():
        answer = answered.result()
        claim = f"{stack.kind}: {stage} gets a Matrix error where Synapse answers {what}"
        tally.check(is_matrix_error(answer, 502, 503, 504), claim, answer.text)


def operations_while_broken(tally: Tally, stack: Stack, owners: list[Owner], what: str) -> None:
    """Nonsense does not say that what is proven was done."""
    with ThreadPoolExecutor() as at_once:
        asked = {
            owner.path: at_once.submit(owner.finish, owner.last)
            for owner in owners
            if owner.what == what
        }
    for path, answered in asked.items():
        answer = answered.result()
        claim = f"{stack.kind}: {path} gets a Matrix error where Synapse answers {what}"
        seen = f"{answer.status_code} {answer.text}"
        tally.check(is_matrix_error(answer, 500, 502, 503, 504), claim, seen)


def passed_through(tally: Tally, stack: Stack, what: str) -> None:
    """What is only forwarded is between the client and the homeserver."""
    statuses = {"HTML": 200, "HTML and 500": 500}
    if what in statuses:
        answer = requests.get(f"{stack.url}/_matrix/client/versions", timeout=30)
        same = (answer.status_code, answer.content) == (statuses[what], HTML)
        tally.check(same, f"{stack.kind}: {what} is passed through as it is", answer.text)


def nothing_was_done(tally: Tally, stack: Stack, owners: list[Owner]) -> None:
    """The audit log has what was done, and nothing else. But a password that may be new voids
    what was proven with the old one."""
    for owner in owners:
        claim = f"{stack.kind}: {owner.path} after {owner.what}"
        done = OPERATIONS_DONE[owner.path]
        said = myelin(stack, "user", "show", owner.user_id)[1]
        tally.check(done not in said, f"{claim} is not logged as done", said)
        voids = owner.path == "/account/password"
        tally.check(("sessions_ended" in said) == voids, f"{claim} ends sessions: {voids}", said)
        login = owner.second_stage(owner.session, "m.login.2fa.recovery", owner.other)
        expected = 401 if voids else 200
        tally.check(login.status_code == expected, f"{claim}: a login of before", login.text)
        code = owner.code(time.time())
        auth = owner.all_but_the_last({"type": "m.login.2fa.totp", "token": code})
        answer = owner.finish(auth)
        tally.check(answer.status_code == 200, f"{claim} can be done afterwards", answer.text)
        said = myelin(stack, "user", "show", owner.user_id)[1]
        tally.check(done in said, f"{claim} is logged then", said)


def without_database(tally: Tally, stack: Stack, person: Person, later: float) -> None:
    """The database goes between the password and the code."""
    session = person.password_stage()
    while time.time() < later - PERIOD:
        time.sleep(0.5)
    code = person.code(later)
    stack.postgres.stop()
    for what, answer in {
        "a code": person.second_stage(session, "m.login.2fa.totp", code),
        "a password": person.login_request(),
    }.items():
        claim = f"{stack.kind}: {what} gets a Matrix error while the database is away"
        tally.check(is_matrix_error(answer, 500, 503), claim, answer.text)

    stack.start_postgres()
    login = person.second_stage(session, "m.login.2fa.totp", code)
    claim = f"{stack.kind}: a code that nobody could look at is good afterwards"
    tally.check(login.status_code == 200, claim, login.text)
    again = person.second_stage(person.password_stage(), "m.login.2fa.totp", code)
    tally.check(again.status_code == 401, f"{stack.kind}: and only once", again.text)


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()
    for kind, database in itertools.product(("generic", "synapse"), ("sqlite", "postgres")):
        with Stack(tools, kind, database) as stack:
            run(tally, stack)
    tally.end()


if __name__ == "__main__":
    main()
