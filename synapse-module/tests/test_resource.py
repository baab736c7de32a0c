"""The gateway's endpoints answer the gateway and do not exist for anybody else."""

import pytest

from myelin_synapse import VERSION
from synapse_server import SERVER_NAME, Synapse, User

VERSION_PATH = "/_synapse/client/myelin/version"
MINT_PATH = "/_synapse/client/myelin/mint"


def test_the_version_is_told_to_the_gateway(synapse: Synapse) -> None:
    reply = synapse.hello()
    assert reply.status == 200
    assert reply.body == {
        "version": VERSION,
        "features": ["mint", "probe", "uia"],
        "require_gateway": True,
    }


def test_a_hello_works_once(synapse: Synapse) -> None:
    assertion = synapse.signer.sign("hello")
    assert [synapse.hello(assertion).status for _ in range(2)] == [200, 404]


@pytest.mark.parametrize("path", [VERSION_PATH, MINT_PATH, MINT_PATH + "/x"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("token", [None, "e30.e30", "\xff", "a.b.c", ""])
def test_without_an_assertion_the_endpoints_are_like_unknown_paths(
    synapse: Synapse, method: str, path: str, token: str | None
) -> None:
    body: object = {} if method in ("POST", "PUT") else None
    hidden = synapse.call(method, path, body, token=token)
    unknown = synapse.call(method, "/_synapse/client/unknown/path", body, token=token)
    assert hidden == unknown
    # Synapse answers OPTIONS for every path there is not, too.
    assert hidden.status == (204 if method == "OPTIONS" else 404)


@pytest.mark.parametrize("use", ["hello", "login", "password", "probe", "uia"])
def test_an_assertion_for_another_use_mints_nothing(
    synapse: Synapse, alice: User, use: str
) -> None:
    token = synapse.signer.sign(use, user=alice.user_id)
    assert synapse.call("POST", MINT_PATH, {}, token=token).refusal == (404, "M_UNRECOGNIZED")


def test_a_replayed_assertion_mints_nothing(synapse: Synapse, alice: User) -> None:
    token = synapse.signer.sign("mint", user=alice.user_id)
    replies = [synapse.call("POST", MINT_PATH, {}, token=token) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 404]
    assert replies[0].body["expires_in_ms"] == 30_000


@pytest.mark.parametrize("user", [None, f"@nobody:{SERVER_NAME}", "@alice:elsewhere.test", "x"])
def test_nothing_is_minted_for_a_user_who_does_not_exist(
    synapse: Synapse, user: str | None
) -> None:
    token = synapse.signer.sign("mint", user=user)
    assert synapse.call("POST", MINT_PATH, {}, token=token).refusal == (404, "M_NOT_FOUND")


def test_the_log_never_holds_the_secret(synapse: Synapse) -> None:
    synapse.hello()
    assert "0123456789abcdef" not in synapse.log
