#!/usr/bin/env python3
"""An unmodified client: matrix-nio logs in.

Usage: nio_login.py http://localhost:8008

A user without a second factor gets in as ever. A user with one is refused,
and the client shows the text that says what to do.
"""

import asyncio
import secrets
import sys
import time

from nio import AsyncClient, LoginError, LoginResponse

from life import PASSWORD, PERIOD, Person, expect, step, wait_for_a_young_step


async def main(target: str) -> None:
    plain = Person(target, f"plain-{secrets.token_hex(4)}")
    plain.register()
    answer = await log_in(target, plain)
    step("logs in a user without a second factor")
    expect(isinstance(answer, LoginResponse), str(answer))
    expect(answer.user_id == plain.user_id, answer.user_id)

    careful = Person(target, f"careful-{secrets.token_hex(4)}")
    careful.register()
    wait_for_a_young_step()
    careful.enrol(time.time() - PERIOD)
    answer = await log_in(target, careful)
    step("shows a user with one what to do")
    expect(isinstance(answer, LoginError), str(answer))
    expect(answer.status_code == "M_FORBIDDEN", str(answer))
    expect("needs a code" in answer.message, str(answer))
    print(f"  {answer}")


async def log_in(target: str, person: Person) -> LoginResponse | LoginError:
    client = AsyncClient(target, person.user_id)
    try:
        return await client.login(PASSWORD, device_name="nio")
    finally:
        await client.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1].rstrip("/")))
