#!/usr/bin/env python3
"""Synapse is stopped under a running Myelin, then a broken server takes its
place, then Myelin's own database is stopped.

While one of them is away everybody gets a Matrix error and nobody a login;
afterwards all goes on without a restart, and a code that was used is not good
again. In the end no device is left that nobody uses.
"""

import itertools
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests

from life import PERIOD, Person, wait_for_a_young_step
from stack import Stack, Tally, Tools

GIB = 1024**3
MEMORY_LIMIT_KIB = 128 * 1024


def head(content: str, length: int) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content}\r\nContent-Length: {length}\r\n"
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
    "an empty object": lambda: [head("application/json", 2) + b"{}"],
    "a gigabyte": huge,
    "half a body": lambda: [head("application/json", 1000) + b'{"user_id":"@'],
    "a byte a second": trickle,
}


def read_request(connection: socket.socket) -> None:
    """All of it: closing with something unread would break off the answer."""
    with connection.makefile("rb") as stream:
        lines = iter(stream.readline, b"\r\n")
        fields = dict(line.lower().split(b":", 1) for line in lines if b":" in line)
        stream.read(int(fields.get(b"content-length", 0)))


@contextmanager
def broken_homeserver(url: str, answer: Callable[[], Iterable[bytes]]) -> Iterator[None]:
    """Answers whatever it is asked at this address in the same way."""

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                read_request(connection)
                for part in answer():
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
    return answer.status_code in statuses and answer.json().get("errcode") == "M_UNKNOWN"


def devices(stack: Stack, person: Person) -> list[str]:
    """As Synapse itself says."""
    headers = {"Authorization": f"Bearer {person.token}"}
    url = f"{stack.direct}/_matrix/client/v3/devices"
    listed = requests.get(url, headers=headers, timeout=30).json()["devices"]
    return [device.get("display_name") or "" for device in listed]


def run(tally: Tally, stack: Stack) -> None:
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

    # What a homeserver answers does not depend on Myelin's database.
    broken = BROKEN if stack.database == "sqlite" else {}
    for what, answer in broken.items():
        with broken_homeserver(stack.direct, answer):
            while_broken(tally, stack, person, what, sessions[what], codes[what])
    if broken:
        memory = stack.myelin.peak_memory_kib()
        claim = f"{stack.kind}: no answer is kept that is too long"
        tally.check(memory < MEMORY_LIMIT_KIB, claim, memory)

    stack.start_synapse()
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
