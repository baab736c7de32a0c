"""The Synapse servers that the tests share, each started once and ended by the suite."""

import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from synapse_server import Synapse, User

CAS_ANSWER = (
    "<cas:serviceResponse xmlns:cas='http://www.yale.edu/tp/cas'><cas:authenticationSuccess>"
    "<cas:user>%s</cas:user></cas:authenticationSuccess></cas:serviceResponse>"
)


class IdentityProvider(BaseHTTPRequestHandler):
    """A CAS server that vouches for the user whom the ticket names."""

    def do_GET(self) -> None:
        """Validate the ticket."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.send_response(200)
        self.end_headers()
        self.wfile.write((CAS_ANSWER % query["ticket"][0]).encode())

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def identity_provider() -> Iterator[str]:
    """The base URL of a CAS server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), IdentityProvider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def synapse(tmp_path_factory: pytest.TempPathFactory, identity_provider: str) -> Iterator[Synapse]:
    """A Synapse with the module as it comes."""
    with Synapse(tmp_path_factory.mktemp("synapse"), cas_url=identity_provider) as server:
        server.wait_until_believed()
        yield server


@pytest.fixture(scope="session")
def open_synapse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synapse]:
    """A Synapse with `require_gateway: false`."""
    with Synapse(tmp_path_factory.mktemp("open"), {"require_gateway": False}) as server:
        server.wait_until_believed()
        yield server


@pytest.fixture(scope="session")
def admin(synapse: Synapse) -> User:
    """An administrator of `synapse`."""
    return synapse.register(admin=True)


@pytest.fixture
def alice(synapse: Synapse) -> User:
    """A fresh user."""
    return synapse.register()


@pytest.fixture
def bob(synapse: Synapse) -> User:
    """Another fresh user."""
    return synapse.register()
