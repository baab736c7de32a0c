#!/usr/bin/env python3
"""The operator's commands before a real Synapse.

`myelin doctor`, which tells apart what is wrong: with everything in its place,
with a Synapse that has no module, and with another secret than the module's.
`myelin user`, which knows the users of the homeserver.
"""

import os
import secrets
import subprocess
import time

from life import PERIOD, Person, wait_for_a_young_step
from stack import Stack, Tally, Tools


def myelin(stack: Stack, *arguments: str, **settings: str) -> tuple[int, str]:
    environment = {**os.environ, **stack.settings, **settings}
    command = [stack.tools.myelin, *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def doctor(stack: Stack, **settings: str) -> tuple[int, str]:
    return myelin(stack, "doctor", **settings)


def users(tally: Tally, stack: Stack) -> None:
    """Someone loses everything, and the administrator helps."""
    person = Person(stack.url, "operated-on")
    person.register()
    wait_for_a_young_step()
    person.enrol(time.time() - PERIOD)
    user = person.user_id
    said = myelin(stack, "user", "list")[1]
    tally.check(f"{user}  two-factor" in said, f"{stack.kind}: the user is listed", said)
    said = myelin(stack, "user", "show", user)[1]
    tally.check("10 of 10 left" in said, f"{stack.kind}: the user is shown", said)
    said = myelin(stack, "user", "reset-two-factor", user, "--yes")[1]
    tally.check("no second factor any more" in said, f"{stack.kind}: the user is reset", said)
    status = person.login_request().status_code
    tally.check(status == 200, f"{stack.kind}: the password alone lets in then", str(status))


def another_secret(stack: Stack) -> str:
    file = stack.directory / "another-secret"
    file.touch(0o600)
    file.write_text(secrets.token_hex(32))
    return str(file)


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()

    def says(claim: str, text: str, said: str) -> None:
        tally.check(text in said, f"{claim}: {text}", said)

    with Stack(tools, "synapse") as stack:
        status, said = doctor(stack)
        tally.check(status == 0 and "WRONG" not in said, "nothing is wrong with the module", said)
        says("the module", "ok       the module is there, version", said)
        says("the module", "ok       a login that goes around Myelin is refused", said)
        says("the module", "ok       the clocks show the same time", said)
        secret = another_secret(stack)
        status, said = doctor(stack, MYELIN_HOMESERVER_SECRET_FILE=secret)
        tally.check(status == 1, "another secret is wrong", said)
        says("another secret", "WRONG    the module is there and does not believe", said)
        says("another secret", "the secret is another", said)
        public = {"MYELIN_PUBLIC_URL": stack.direct}
        says("the same address", "ok       the homeserver itself names", doctor(stack, **public)[1])
        users(tally, stack)
    with Stack(tools, "generic") as stack:
        status, said = doctor(stack)
        tally.check(status == 0 and "WRONG" not in said, "nothing is wrong without it", said)
        says("another address", "note     the homeserver says that clients reach it at", said)
        module = {
            "MYELIN_HOMESERVER_KIND": "synapse",
            "MYELIN_HOMESERVER_SECRET_FILE": another_secret(stack),
        }
        status, said = doctor(stack, **module)
        tally.check(status == 1, "a missing module is wrong", said)
        says("no module", "WRONG    the module is not in Synapse. Install it", said)
        says("no module", "WRONG    a login that goes around Myelin is NOT refused", said)
        users(tally, stack)
    tally.end()


if __name__ == "__main__":
    main()
