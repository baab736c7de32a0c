#!/usr/bin/env python3
"""Synapse is stopped under a running Myelin, then its own database is.

While one of them is away everybody gets a Matrix error and nobody a login;
afterwards all goes on without a restart, and a code that was used is not good
again. In the end no device is left that nobody uses.
"""

import itertools
import secrets
import time

import requests

from life import PERIOD, Person, wait_for_a_young_step
from stack import Stack, Tally, Tools


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
    person.enrol(start - PERIOD)
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

    stack.start_synapse()
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
