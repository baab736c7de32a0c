"""A reverse proxy that writes down what passes between Myelin and Synapse.

It changes nothing. So a suite can tell what an attack reached, and not only
what the attacker was told.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Exchange:
    """A request as it reached Synapse, and the body of what Synapse answered."""

    line: str
    request: str
    status: int
    answer: str

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def path(self) -> str:
        return self.line.split(" ")[1].split("?")[0]

    @property
    def bearer(self) -> str:
        """The access token in its headers."""
        found = re.search(r"^authorization: Bearer (\S+)", self.request, re.I | re.M)
        return found[1] if found else ""

    def answered(self, key: str) -> object:
        """A field of the answer, if that is an object."""
        try:
            return json.loads(self.answer).get(key)
        except (AttributeError, ValueError):
            return None


class Message:
    """One request or response, byte for byte."""

    def __init__(self, head: bytes) -> None:
        self.head, self.raw, self.body = head, head, b""
        first, *fields = head.decode("latin-1").split("\r\n")
        self.line = first
        pairs = (field.split(":", 1) for field in fields if ":" in field)
        self.fields = {name.lower(): value.strip() for name, value in pairs}

    @classmethod
    async def read(cls, stream: asyncio.StreamReader, *, answers: str = "") -> "Message":
        """Reads a request, or the answer to a request of the method `answers`."""
        message = cls(await stream.readuntil(b"\r\n\r\n"))
        if "chunked" in message.fields.get("transfer-encoding", "").lower():
            await message.read_chunks(stream)
        elif "content-length" in message.fields:
            length = int(message.fields["content-length"])
            has_body = answers != "HEAD" and not (answers and message.status == 304)
            message.add(await stream.readexactly(length) if has_body else b"")
        elif answers and answers != "HEAD" and message.status not in (204, 304):
            message.add(await stream.read())
        return message

    async def read_chunks(self, stream: asyncio.StreamReader) -> None:
        while True:
            size = await stream.readline()
            length = int(size.split(b";")[0], 16)
            chunk = await stream.readexactly(length + 2)
            self.raw += size + chunk
            self.body += chunk[:-2]
            if length == 0:
                return

    def add(self, body: bytes) -> None:
        self.raw += body
        self.body += body

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])


class Recorder:
    """Keeps what passed until it is asked for."""

    def __init__(self) -> None:
        self._seen: list[Exchange] = []

    def take(self) -> list[Exchange]:
        """What passed since the last time."""
        seen, self._seen = self._seen, []
        return seen

    @contextmanager
    def before(self, url: str) -> Iterator[str]:
        """The address of a proxy before `url`."""
        self._address = urlsplit(url)
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            if tasks := asyncio.all_tasks(loop):
                for task in tasks:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(tasks))
            loop.close()

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            while await self._relay(client, back):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # One of the two has gone, or the run is over.
        finally:
            back.close()

    async def _relay(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> bool:
        """One request, on a connection of its own; whether there may be another."""
        request = await Message.read(client)
        server, on = await asyncio.open_connection(self._address.hostname, self._address.port)
        try:
            on.write(request.raw)
            answer = await Message.read(server, answers=request.line.split(" ")[0])
        finally:
            on.close()
        # Before anybody can know of the answer.
        text = [part.decode("latin-1") for part in (request.head, request.body, answer.body)]
        self._seen.append(Exchange(request.line, text[0] + text[1], answer.status, text[2]))
        back.write(answer.raw)
        await back.drain()
        return "close" not in answer.fields.get("connection", "").lower()
