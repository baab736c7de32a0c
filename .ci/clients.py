#!/usr/bin/env python3
"""Real clients, unmodified, through the gateway in front of a real Synapse.

matrix-nio, mautrix and matrix-commander: a user without a second factor logs
in, syncs, sends, deletes a device; a user with one is told what to do.
matrix-js-sdk: both stages by its InteractiveAuth.
"""

import asyncio
import itertools
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from mautrix.api import HTTPAPI, Method
from mautrix.api import Path as Endpoint
from mautrix.client import Client, ClientAPI
from mautrix.client.state_store import MemoryStateStore, MemorySyncStore
from mautrix.crypto import MemoryCryptoStore, OlmMachine, StateStore
from mautrix.errors import MatrixRequestError, MatrixUnknownRequestError
from mautrix.types import EventType, MessageType, TextMessageEventContent
from nio import (
    AsyncClient,
    AsyncClientConfig,
    DeleteDevicesAuthResponse,
    DeleteDevicesResponse,
    LoginError,
    LoginResponse,
    RoomCreateResponse,
    RoomSendResponse,
    SyncResponse,
)
from nio.crypto import ENCRYPTION_ENABLED

from life import PASSWORD, PERIOD, Person, wait_for_a_young_step
from stack import Stack, Tally, Tools

HERE = Path(__file__).parent
ENCRYPTION = {
    "type": "m.room.encryption",
    "state_key": "",
    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
}


def missing(tally: Tally, what: str) -> None:
    """Whoever has not installed everything may go on; whoever decides may not."""
    print(what, flush=True)
    tally.check(os.environ.get("CI") != "true", what)


def person(url: str) -> Person:
    made = Person(url, f"client-{secrets.token_hex(4)}")
    made.register()
    return made


async def nio(tally: Tally, url: str, plain: Person, careful: Person) -> None:
    with tempfile.TemporaryDirectory() as store:
        config = AsyncClientConfig(encryption_enabled=ENCRYPTION_ENABLED, store_sync_tokens=True)
        client = AsyncClient(url, plain.user_id, store_path=store, config=config)
        login = await client.login(PASSWORD, device_name="nio")
        tally.check(isinstance(login, LoginResponse), "nio logs in", login)
        sync = await client.sync(timeout=0, full_state=True)
        tally.check(isinstance(sync, SyncResponse), "nio syncs", sync)
        if client.should_upload_keys:
            await client.keys_upload()
        state = [ENCRYPTION] if ENCRYPTION_ENABLED else []
        room = await client.room_create(initial_state=state)
        tally.check(isinstance(room, RoomCreateResponse), "nio creates a room", room)
        await client.sync(timeout=0, full_state=True)
        encrypted = client.rooms[room.room_id].encrypted
        if ENCRYPTION_ENABLED:
            tally.check(encrypted, "nio's room is encrypted")
        else:
            missing(tally, "nio: vodozemac is missing, so the room is NOT encrypted")
        content = {"msgtype": "m.text", "body": "hello"}
        sent = await client.room_send(
            room.room_id, "m.room.message", content, ignore_unverified_devices=True
        )
        tally.check(isinstance(sent, RoomSendResponse), "nio sends", sent)
        gone = plain.login_request().json()["device_id"]
        asked = await client.delete_devices([gone])
        tally.check(isinstance(asked, DeleteDevicesAuthResponse), "nio is asked for proof", asked)
        identifier = {"type": "m.id.user", "user": plain.user_id}
        auth = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        deleted = await client.delete_devices([gone], auth | {"session": asked.session})
        tally.check(isinstance(deleted, DeleteDevicesResponse), "nio deletes a device", deleted)
        await client.close()
    client = AsyncClient(url, careful.user_id)
    login = await client.login(PASSWORD)
    told = isinstance(login, LoginError) and "needs a code" in login.message
    tally.check(told, "nio tells a user with a second factor what to do", login)
    await client.close()


async def mautrix_encrypts(tally: Tally, client: Client) -> None:
    """Sends to an encrypted room, and reads there what was sent."""
    store = MemoryCryptoStore("clients", "in memory only")
    client.crypto = OlmMachine(client, store, client.state_store)
    await client.crypto.load()
    await client.crypto.share_keys()
    room = await client.create_room(initial_state=[ENCRYPTION])
    content = TextMessageEventContent(msgtype=MessageType.TEXT, body="hello")
    event_id = await client.send_message(room, content)
    event = await client.get_event(room, event_id)
    tally.check(event.type == EventType.ROOM_ENCRYPTED, "mautrix sends encrypted", event)
    tally.check("hello" not in event.json(), "nobody else can read what mautrix sends", event)
    read = await client.crypto.decrypt_megolm_event(event)
    tally.check(read.content.body == "hello", "mautrix reads what it has sent", read)


class Rooms(MemoryStateStore, StateStore):
    """What mautrix knows of rooms, in memory."""

    async def find_shared_rooms(self, user_id: str) -> list[str]:
        return [room for room, members in self.members.items() if user_id in members]


async def mautrix(tally: Tally, url: str, plain: Person, careful: Person) -> None:
    async with aiohttp.ClientSession() as session:
        api = HTTPAPI(url, client_session=session)
        client = Client(api=api, state_store=Rooms(), sync_store=MemorySyncStore())
        login = await client.login(plain.name, password=PASSWORD, device_name="mautrix")
        tally.check(login.user_id == plain.user_id, "mautrix logs in", login)
        synced = await client.sync(timeout=0)
        tally.check("next_batch" in synced, "mautrix syncs", synced)
        await mautrix_encrypts(tally, client)
        gone = plain.login_request().json()["device_id"]
        path = Endpoint.v3.devices[gone]
        session_of: dict = {}
        try:
            await api.request(Method.DELETE, path, {})
        except MatrixUnknownRequestError as error:
            session_of = json.loads(error.text)
        tally.check("session" in session_of, "mautrix is asked for proof", session_of)
        identifier = {"type": "m.id.user", "user": plain.user_id}
        auth = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        auth["session"] = session_of.get("session")
        deleted = await api.request(Method.DELETE, path, {"auth": auth})
        tally.check(deleted == {}, "mautrix deletes a device", deleted)
        await client.logout()
        try:
            await ClientAPI(api=HTTPAPI(url, client_session=session)).login(
                careful.name, password=PASSWORD
            )
            tally.check(False, "mautrix lets in with the password alone")
        except MatrixRequestError as error:
            tally.check("needs a code" in str(error), "mautrix tells what to do", error)


def commander(tally: Tally, url: str, plain: Person) -> None:
    program = Path(sys.executable).with_name("matrix-commander")
    if not program.exists():
        missing(tally, "matrix-commander is NOT installed, so it is not tried")
        return
    with tempfile.TemporaryDirectory() as home:
        files = ["--credentials", f"{home}/credentials.json", "--store", f"{home}/store"]
        login = ["--login", "password", "--device", "commander", "--user-login", plain.user_id]
        login += ["--password", PASSWORD, "--homeserver", url, "--room-default", "!x:synapse.test"]
        ran = subprocess.run([program, *files, *login], capture_output=True, text=True, timeout=120)
        made = Path(home, "credentials.json")
        claim = "matrix-commander logs in"
        tally.check(made.exists() and plain.user_id in made.read_text(), claim, ran.stderr[-400:])
        ran = subprocess.run(
            [program, *files, "--whoami"], capture_output=True, text=True, timeout=120
        )
        tally.check(plain.user_id in ran.stdout, "matrix-commander is who it is", ran.stderr[-400:])


def js_sdk(
    tally: Tally, url: str, node: str, careful: Person, enrolled: float, codes: list
) -> None:
    gone = careful.extra_device
    code = careful.code(enrolled + 1)
    command = [
        node,
        str(HERE / "clients.mjs"),
        url,
        careful.user_id,
        PASSWORD,
        code,
        codes[0],
        gone,
    ]
    ran = subprocess.run([*command, codes[1]], capture_output=True, text=True, timeout=120)
    claims = [line for line in ran.stdout.splitlines() if line.startswith(("ok ", "not ok "))]
    tally.check(len(claims) >= 6, "js-sdk goes to its end", ran.stdout + ran.stderr)
    for line in claims:
        tally.check(line.startswith("ok "), line, ran.stderr)


def run(tally: Tally, stack: Stack) -> None:
    plain, careful = person(stack.url), person(stack.url)
    careful.extra_device = careful.login_request().json()["device_id"]
    wait_for_a_young_step()
    enrolled = time.time()
    codes = careful.enrol(enrolled - PERIOD)
    js_sdk(tally, stack.url, stack.tools.node, careful, enrolled, codes)
    asyncio.run(nio(tally, stack.url, plain, careful))
    asyncio.run(mautrix(tally, stack.url, plain, careful))
    commander(tally, stack.url, plain)


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()
    for kind, database in itertools.product(("generic", "synapse"), ("sqlite", "postgres")):
        with Stack(tools, kind, database) as stack:
            run(tally, stack)
    tally.end()


if __name__ == "__main__":
    main()
