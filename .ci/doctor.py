#!/usr/bin/env python3
"""`myelin doctor` before a real Synapse: what is wrong is told apart.

With everything in its place, with a Synapse that has no module, and with
another secret than the module's.
"""

import os
import secrets
import subprocess

from stack import Stack, Tally, Tools


def doctor(stack: Stack, **settings: str) -> tuple[int, str]:
    environment = {**os.environ, **stack.settings, **settings}
    command = [stack.tools.myelin, "doctor"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


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
    tally.end()


if __name__ == "__main__":
    main()
