#!/usr/bin/env python3
"""How long a login with a second factor takes, beside Synapse's own login.

Usage: login_latency.py [options]

Synapse hashes passwords as it does by default. Logins at a Synapse alone, at
one with the module through Myelin, and at one without it through Myelin take
turns; a login with a second factor counts from the password to the token.
Prints medians and their ratio; compare the ratio.
"""

import secrets
import statistics
import time
from contextlib import ExitStack

from life import PERIOD, Person, expect, wait_for_a_young_step
from stack import Stack, Tools

ROUNDS = 10
BCRYPT_ROUNDS = 12  # Synapse's default


def enrolled(url: str) -> Person:
    person = Person(url, f"late-{secrets.token_hex(4)}")
    person.register()
    wait_for_a_young_step()
    person.enrol(time.time() - PERIOD)
    return person


def in_one_stage(person: Person) -> float:
    started = time.perf_counter()
    answer = person.login_request()
    took = time.perf_counter() - started
    expect(answer.status_code == 200, answer.text)
    return took


def in_two_stages(person: Person) -> float:
    code = person.code(time.time())
    started = time.perf_counter()
    session = person.password_stage()
    answer = person.second_stage(session, "m.login.2fa.totp", code)
    took = time.perf_counter() - started
    expect(answer.status_code == 200, answer.text)
    return took


def main() -> None:
    parser = Tools.parser(__doc__)
    tools = Tools.of(parser.parse_args())
    with ExitStack() as undo:
        stacks = {
            kind: undo.enter_context(Stack(tools, kind, synapse={"bcrypt_rounds": BCRYPT_ROUNDS}))
            for kind in ("plain", "synapse", "generic")
        }
        alone = Person(stacks["plain"].url, "alone")
        alone.register()
        people = {
            kind: [enrolled(stacks[kind].url) for _ in range(ROUNDS)]
            for kind in ("synapse", "generic")
        }
        took: dict[str, list[float]] = {kind: [] for kind in stacks}
        for turn in range(ROUNDS):
            took["plain"].append(in_one_stage(alone))
            for kind, group in people.items():
                took[kind].append(in_two_stages(group[turn]))
    median = {kind: statistics.median(times) for kind, times in took.items()}
    print("login                          median   to Synapse alone")
    for kind, name in (
        ("plain", "Synapse alone"),
        ("synapse", "two factors, with the module"),
        ("generic", "two factors, without it"),
    ):
        print(f"{name:<29} {median[kind] * 1e3:5.0f} ms   {median[kind] / median['plain']:.2f}")


if __name__ == "__main__":
    main()
