"""The gateway finishes user-interactive authentication; a password alone does not."""

from typing import Any

import pytest

from synapse_server import PASSWORD, Reply, Synapse, User, password_stage

STAGE = "org.myelin.assertion"


def new_device(synapse: Synapse, user: User, device_id: str) -> str:
    """Log in on a new device and return the path of its deletion."""
    assert synapse.log_in_as_gateway(user.user_id, device_id=device_id).status == 200
    return f"/_matrix/client/v3/devices/{device_id}"


def challenge(synapse: Synapse, user: User, path: str, body: dict[str, Any] | None = None) -> str:
    """Begin the operation and return Synapse's session for it."""
    method = "DELETE" if body is None else "POST"
    reply = synapse.call(method, path, body or {}, token=user.access_token)
    assert reply.status == 401, reply
    return str(reply.body["session"])


def stage(synapse: Synapse, user: User, session: str, *, sign: Any = ()) -> dict[str, Any]:
    """The stage as the gateway sends it, but for what `sign` changes in its assertion."""
    claims = {"use": "uia", "key_of": "uia", "user": user.user_id, "session": session, **dict(sign)}
    return {
        "type": STAGE,
        "session": session,
        "identifier": {"type": "m.id.user", "user": user.user_id},
        "assertion": synapse.signer.sign(**claims),
        "initial_device_display_name": STAGE,
    }


def delete(synapse: Synapse, user: User, path: str, auth: dict[str, Any]) -> Reply:
    """Delete a device with this stage."""
    return synapse.call("DELETE", path, {"auth": auth}, token=user.access_token)


def exists(synapse: Synapse, user: User, path: str) -> bool:
    """Whether the device is still there."""
    return synapse.call("GET", path, token=user.access_token).status == 200


def test_an_assertion_for_the_session_deletes_the_device(synapse: Synapse, alice: User) -> None:
    path = new_device(synapse, alice, "LAPTOP")
    session = challenge(synapse, alice, path)
    assert delete(synapse, alice, path, stage(synapse, alice, session)).status == 200
    assert not exists(synapse, alice, path)


def test_an_assertion_finishes_an_operation_with_a_body(synapse: Synapse, alice: User) -> None:
    path = "/_matrix/client/v3/account/password"
    body = {"new_password": "another horse battery", "logout_devices": False}
    session = challenge(synapse, alice, path, body)
    auth = stage(synapse, alice, session)
    reply = synapse.call("POST", path, {**body, "auth": auth}, token=alice.access_token)
    assert reply.status == 200
    assert synapse.probe(alice.user_id, "another horse battery").body["org.myelin.user_id"]


def test_an_assertion_for_another_operation_is_refused(synapse: Synapse, alice: User) -> None:
    here = new_device(synapse, alice, "HERE")
    there = new_device(synapse, alice, "THERE")
    session_here = challenge(synapse, alice, here)
    session_there = challenge(synapse, alice, there)
    # The other operation's session and assertion: Synapse sees that the operation has changed.
    moved = delete(synapse, alice, here, stage(synapse, alice, session_there))
    assert moved.status == 403
    # This operation's session with the other's assertion: the module sees it.
    swapped = stage(synapse, alice, session_here, sign={"session": session_there})
    assert delete(synapse, alice, here, swapped).refusal == (401, "M_FORBIDDEN")
    assert exists(synapse, alice, here)


def test_an_assertion_for_another_user_is_refused(synapse: Synapse, alice: User, bob: User) -> None:
    path = new_device(synapse, alice, "LAPTOP")
    session = challenge(synapse, alice, path)
    as_bob = stage(synapse, bob, session)
    assert delete(synapse, alice, path, as_bob).status == 403
    session = challenge(synapse, alice, path)
    mixed = stage(synapse, alice, session, sign={"user": bob.user_id})
    assert delete(synapse, alice, path, mixed).refusal == (401, "M_FORBIDDEN")
    assert exists(synapse, alice, path)


@pytest.mark.parametrize(
    "changes",
    [
        {"user": None},
        {"session": None},
        {"iat": 1, "exp": 2},
        {"use": "login"},
        {"key_of": "login"},
        {"v": 2},
    ],
    ids=str,
)
def test_an_assertion_that_is_not_whole_is_refused(
    synapse: Synapse, alice: User, changes: dict[str, Any]
) -> None:
    path = new_device(synapse, alice, "LAPTOP")
    session = challenge(synapse, alice, path)
    auth = stage(synapse, alice, session, sign=changes)
    assert delete(synapse, alice, path, auth).refusal == (401, "M_FORBIDDEN")
    assert exists(synapse, alice, path)


def test_a_replayed_assertion_is_refused(synapse: Synapse, alice: User) -> None:
    path = new_device(synapse, alice, "LAPTOP")
    session = challenge(synapse, alice, path)
    auth = stage(synapse, alice, session)
    # Spent by an attempt that failed for another reason.
    elsewhere = {**auth, "identifier": {"type": "m.id.user", "user": "somebody"}}
    assert delete(synapse, alice, path, elsewhere).refusal == (401, "M_FORBIDDEN")
    assert delete(synapse, alice, path, auth).refusal == (401, "M_FORBIDDEN")


@pytest.mark.parametrize("field", ["assertion", "session", "initial_device_display_name"])
def test_a_stage_without_one_of_its_fields_is_refused(
    synapse: Synapse, alice: User, field: str
) -> None:
    path = new_device(synapse, alice, "LAPTOP")
    auth = stage(synapse, alice, challenge(synapse, alice, path))
    del auth[field]
    assert delete(synapse, alice, path, auth).status == 400
    assert exists(synapse, alice, path)


def test_the_stage_is_no_login_even_with_a_login_assertion(synapse: Synapse, alice: User) -> None:
    session = challenge(synapse, alice, new_device(synapse, alice, "LAPTOP"))
    reply = synapse.login(stage(synapse, alice, session), synapse.login_agent(alice.user_id))
    assert reply.refusal == (403, "M_FORBIDDEN")
    unmarked = stage(synapse, alice, session) | {"initial_device_display_name": "Phone"}
    reply = synapse.login(unmarked, synapse.login_agent(alice.user_id))
    assert reply.refusal == (403, "M_FORBIDDEN")


def test_the_stage_is_no_login_where_the_gateway_is_not_required(open_synapse: Synapse) -> None:
    user = open_synapse.register()
    reply = open_synapse.login(stage(open_synapse, user, "any"))
    assert reply.refusal == (403, "M_FORBIDDEN")
    unmarked = stage(open_synapse, user, "any") | {"initial_device_display_name": "Phone"}
    assert open_synapse.login(unmarked).refusal == (403, "M_FORBIDDEN")


def test_a_stolen_token_and_the_password_are_not_enough(synapse: Synapse, alice: User) -> None:
    path = new_device(synapse, alice, "LAPTOP")
    plain = password_stage(alice.user_id)
    session = challenge(synapse, alice, path)
    for auth in (plain, {**plain, "session": session}):
        assert delete(synapse, alice, path, auth).status == 400
    forgeries: list[object] = ["", "e30.e30", None, 1, {}]
    for forged in forgeries:
        auth = {**plain, "session": session, "org.myelin.assertion": forged}
        assert delete(synapse, alice, path, auth).status == 403
    assert exists(synapse, alice, path)


def test_the_right_password_is_not_told_from_a_wrong_one(synapse: Synapse, alice: User) -> None:
    path = new_device(synapse, alice, "LAPTOP")

    def answer(password: str) -> tuple[int, object]:
        session = challenge(synapse, alice, path)
        forged = {"session": session, "org.myelin.assertion": "e30.e30"}
        return delete(
            synapse, alice, path, {**password_stage(alice.user_id, password), **forged}
        ).refusal

    assert answer(PASSWORD) == answer("wrong")


def test_the_password_still_works_where_the_gateway_is_not_required(
    open_synapse: Synapse,
) -> None:
    user = open_synapse.register()
    path = new_device(open_synapse, user, "LAPTOP")
    assert delete(open_synapse, user, path, password_stage(user.user_id)).status == 200
