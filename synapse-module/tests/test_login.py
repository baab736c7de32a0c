"""Only the gateway logs anybody in."""

import hmac
import json
from collections.abc import Callable

import pytest

from signer import base64url
from synapse_server import (
    BRIDGE_TOKEN,
    JWT_SECRET,
    PASSWORD,
    Reply,
    Synapse,
    User,
    password_stage,
)

HINT = "second factor"


def test_a_minted_token_with_a_login_assertion_yields_the_device_asked_for(
    synapse: Synapse, admin: User, alice: User
) -> None:
    reply = synapse.log_in_as_gateway(alice.user_id, device_id="PHONE")
    assert reply.status == 200
    assert (reply.body["user_id"], reply.body["device_id"]) == (alice.user_id, "PHONE")
    assert "PHONE" in synapse.devices(admin, alice)
    token = reply.body["access_token"]
    whoami = synapse.call("GET", "/_matrix/client/v3/account/whoami", token=token)
    assert whoami.body["device_id"] == "PHONE"


def test_a_minted_token_works_once(synapse: Synapse, alice: User) -> None:
    token = synapse.mint(alice.user_id).body["login_token"]
    body: dict[str, object] = {"type": "m.login.token", "token": token}
    assert synapse.login(body, synapse.login_agent(alice.user_id)).status == 200
    again = synapse.login(body, synapse.login_agent(alice.user_id))
    assert again.refusal == (403, "M_FORBIDDEN")


def test_a_direct_password_login_is_refused_whether_or_not_the_password_is_right(
    synapse: Synapse, admin: User, alice: User
) -> None:
    before = synapse.devices(admin, alice)
    right = synapse.login(password_stage(alice.user_id))
    wrong = synapse.login(password_stage(alice.user_id, "wrong"))
    assert right.status == 400
    assert "org.myelin.assertion" in right.body["error"]
    assert (right.status, right.body) == (wrong.status, wrong.body)
    assert synapse.devices(admin, alice) == before


def test_a_forged_password_assertion_is_refused_whether_or_not_the_password_is_right(
    synapse: Synapse, alice: User
) -> None:
    forged = {"org.myelin.assertion": "e30.e30"}
    agent = synapse.login_agent(alice.user_id)
    right = synapse.login({**password_stage(alice.user_id), **forged}, agent)
    wrong = synapse.login({**password_stage(alice.user_id, "wrong"), **forged}, agent)
    assert "access_token" not in right.body
    assert (right.status, right.body) == (wrong.status, wrong.body)


def test_a_password_login_without_a_login_assertion_is_refused_with_a_hint(
    synapse: Synapse, admin: User, alice: User
) -> None:
    before = synapse.devices(admin, alice)
    reply = synapse.password_login(alice.user_id)
    assert reply.refusal == (403, "M_FORBIDDEN")
    assert HINT in reply.body["error"]
    assert synapse.devices(admin, alice) == before


def test_a_direct_token_login_is_refused_with_a_hint(synapse: Synapse, alice: User) -> None:
    token = synapse.mint(alice.user_id).body["login_token"]
    reply = synapse.login({"type": "m.login.token", "token": token})
    assert reply.refusal == (403, "M_FORBIDDEN")
    assert HINT in reply.body["error"]


def test_a_direct_sso_login_is_refused_with_a_hint(synapse: Synapse) -> None:
    reply = synapse.login({"type": "m.login.token", "token": synapse.sso_login_token()})
    assert reply.refusal == (403, "M_FORBIDDEN")
    assert HINT in reply.body["error"]


def test_a_direct_jwt_login_is_refused_with_a_hint(synapse: Synapse, alice: User) -> None:
    localpart = alice.user_id[1:].partition(":")[0]
    parts = [
        base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": localpart})
    ]
    mac = hmac.digest(JWT_SECRET.encode(), ".".join(parts).encode(), "sha256")
    token = ".".join([*parts, base64url(mac)])
    reply = synapse.login({"type": "org.matrix.login.jwt", "token": token})
    assert reply.refusal == (403, "M_FORBIDDEN")
    assert HINT in reply.body["error"]


@pytest.mark.parametrize("path", ["api/v1", "r0", "v3", "unstable"])
def test_a_direct_login_is_refused_in_every_version_of_the_path(
    synapse: Synapse, alice: User, path: str
) -> None:
    token = synapse.mint(alice.user_id).body["login_token"]
    body = {"type": "m.login.token", "token": token}
    reply = synapse.call("POST", f"/_matrix/client/{path}/login", body)
    assert reply.refusal == (403, "M_FORBIDDEN")


BadAgent = Callable[[Synapse, User, User], str]

BAD_AGENTS: dict[str, BadAgent] = {
    "of another user": lambda s, _a, b: s.login_agent(b.user_id),
    "of nobody": lambda s, _a, _b: "myelin-login/" + s.signer.sign("login"),
    "for another use": lambda s, a, _b: "myelin-login/" + s.signer.sign("mint", user=a.user_id),
    "signed with another use's key": lambda s, a, _b: (
        "myelin-login/" + s.signer.sign("login", key_of="mint", user=a.user_id)
    ),
    "after other text": lambda s, a, _b: "Mozilla/5.0 " + s.login_agent(a.user_id),
    "cut short": lambda s, a, _b: s.login_agent(a.user_id)[:-1],
    "that is empty": lambda _s, _a, _b: "myelin-login/",
    "that is not ASCII": lambda _s, _a, _b: "myelin-login/\xe9.\xe9",
}


@pytest.mark.parametrize("which", BAD_AGENTS)
def test_a_login_assertion_is_refused(synapse: Synapse, alice: User, bob: User, which: str) -> None:
    token = synapse.mint(alice.user_id).body["login_token"]
    agent = BAD_AGENTS[which](synapse, alice, bob)
    reply = synapse.login({"type": "m.login.token", "token": token}, agent)
    assert reply.refusal == (403, "M_FORBIDDEN")


def test_a_replayed_login_assertion_is_refused(synapse: Synapse, alice: User) -> None:
    agent = synapse.login_agent(alice.user_id)
    tokens = [synapse.mint(alice.user_id).body["login_token"] for _ in range(2)]
    replies = [synapse.login({"type": "m.login.token", "token": t}, agent) for t in tokens]
    assert [reply.status for reply in replies] == [200, 403]


def bridge_login(synapse: Synapse, user: str, agent: str = "a bridge") -> Reply:
    """Log in as an application service does."""
    body = {
        "type": "m.login.application_service",
        "identifier": {"type": "m.id.user", "user": user},
    }
    return synapse.call("POST", "/_matrix/client/v3/login", body, token=BRIDGE_TOKEN, agent=agent)


def register_bridged(synapse: Synapse, name: str) -> None:
    """Let the bridge create an account in its exclusive namespace."""
    body = {"type": "m.login.application_service", "username": name, "inhibit_login": True}
    reply = synapse.call("POST", "/_matrix/client/v3/register", body, token=BRIDGE_TOKEN)
    assert reply.status == 200


def test_a_bridge_logs_in_its_own_users_and_itself_directly(synapse: Synapse) -> None:
    register_bridged(synapse, "bridged-x")
    assert bridge_login(synapse, "bridged-x").status == 200
    assert bridge_login(synapse, "bridge").status == 200


def test_a_bridges_user_is_not_logged_in_directly_by_sso(synapse: Synapse) -> None:
    register_bridged(synapse, "bridged-sso")
    token = synapse.sso_login_token("bridged-sso")
    reply = synapse.login({"type": "m.login.token", "token": token})
    assert reply.refusal == (403, "M_FORBIDDEN")
    assert HINT in reply.body["error"]


def test_a_bridge_logs_in_other_peoples_accounts_through_the_gateway_only(
    synapse: Synapse, alice: User
) -> None:
    assert bridge_login(synapse, alice.user_id).refusal == (403, "M_FORBIDDEN")
    agent = synapse.login_agent(alice.user_id)
    assert bridge_login(synapse, alice.user_id, agent).status == 200


def test_registration_and_guests_are_left_alone(synapse: Synapse) -> None:
    assert synapse.register().access_token
    guest = synapse.call("POST", "/_matrix/client/v3/register?kind=guest", {})
    assert guest.body["access_token"]


def test_registration_does_not_tell_whether_a_password_is_right(
    synapse: Synapse, alice: User
) -> None:
    def answer(password: str) -> tuple[int, object]:
        auth = password_stage(alice.user_id, password)
        return synapse.call("POST", "/_matrix/client/v3/register", {"auth": auth}).refusal

    assert answer(PASSWORD) == answer("wrong") == (400, "M_UNKNOWN")


def test_direct_logins_work_where_the_gateway_is_not_required(open_synapse: Synapse) -> None:
    user = open_synapse.register()
    assert open_synapse.login(password_stage(user.user_id)).status == 200
    token = open_synapse.mint(user.user_id).body["login_token"]
    assert open_synapse.login({"type": "m.login.token", "token": token}).status == 200
