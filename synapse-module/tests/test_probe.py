"""A probe proves a password and leaves nothing behind."""

import pytest

from synapse_server import PASSWORD, SERVER_NAME, Synapse, User, password_stage


def test_right_password_is_answered_with_the_canonical_user_id(
    synapse: Synapse, alice: User
) -> None:
    reply = synapse.probe(alice.user_id.upper().replace(SERVER_NAME.upper(), SERVER_NAME))
    assert reply.refusal == (403, "M_FORBIDDEN")
    assert reply.body["org.myelin.user_id"] == alice.user_id
    assert reply.body["org.myelin.auth_provider_id"] is None
    assert "access_token" not in reply.body


def test_a_probe_leaves_no_device(synapse: Synapse, admin: User, alice: User) -> None:
    before = synapse.devices(admin, alice)
    assert "org.myelin.user_id" in synapse.probe(alice.user_id).body
    assert synapse.devices(admin, alice) == before


def test_wrong_password_and_unknown_user_are_alike_and_name_nobody(
    synapse: Synapse, alice: User
) -> None:
    wrong = synapse.probe(alice.user_id, "wrong")
    unknown = synapse.probe("@nobody-of-that-name:" + SERVER_NAME)
    assert wrong.refusal == (403, "M_FORBIDDEN")
    assert (wrong.status, wrong.body) == (unknown.status, unknown.body)
    assert "org.myelin.user_id" not in wrong.body


def test_deactivated_user_is_refused_as_synapse_does(
    synapse: Synapse, admin: User, alice: User
) -> None:
    path = f"/_synapse/admin/v1/deactivate/{alice.user_id}"
    assert synapse.call("POST", path, {}, token=admin.access_token).status == 200
    reply = synapse.probe(alice.user_id)
    assert reply.status == 403
    assert "org.myelin.user_id" not in reply.body


def test_locked_user_is_refused_as_synapse_does(synapse: Synapse, admin: User, alice: User) -> None:
    path = f"/_synapse/admin/v2/users/{alice.user_id}"
    assert synapse.call("PUT", path, {"locked": True}, token=admin.access_token).status == 200
    assert synapse.probe(alice.user_id).refusal == (401, "M_USER_LOCKED")
    assert synapse.log_in_as_gateway(alice.user_id).refusal == (401, "M_USER_LOCKED")


def test_failed_probes_count_against_synapses_own_limit(synapse: Synapse, alice: User) -> None:
    answers = [synapse.probe(alice.user_id, "wrong").refusal for _ in range(5)]
    assert answers == [(403, "M_FORBIDDEN")] * 4 + [(429, "M_LIMIT_EXCEEDED")]
    assert synapse.probe(alice.user_id).refusal == (429, "M_LIMIT_EXCEEDED")


@pytest.mark.parametrize("use", ["login", "mint", "password", "uia", "hello"])
def test_a_probe_with_an_assertion_for_another_use_proves_nothing(
    synapse: Synapse, alice: User, use: str
) -> None:
    assertion = synapse.signer.sign(use, user=alice.user_id)
    reply = synapse.password_login(alice.user_id, PASSWORD, "myelin-probe/" + assertion)
    assert reply.refusal == (403, "M_FORBIDDEN")
    assert "org.myelin.user_id" not in reply.body


def test_a_replayed_probe_proves_nothing(synapse: Synapse, alice: User) -> None:
    agent = "myelin-probe/" + synapse.signer.sign("probe")
    assert "org.myelin.user_id" in synapse.password_login(alice.user_id, agent=agent).body
    assert "org.myelin.user_id" not in synapse.password_login(alice.user_id, agent=agent).body


def test_a_probe_of_an_sso_token_names_the_provider_and_spends_the_token(
    synapse: Synapse,
) -> None:
    body: dict[str, object] = {"type": "m.login.token", "token": synapse.sso_login_token()}
    reply = synapse.login(body, "myelin-probe/" + synapse.signer.sign("probe"))
    assert reply.body["org.myelin.user_id"] == f"@ssouser:{SERVER_NAME}"
    assert reply.body["org.myelin.auth_provider_id"] == "cas"
    again = synapse.login(body, synapse.login_agent(f"@ssouser:{SERVER_NAME}"))
    assert again.refusal == (403, "M_FORBIDDEN")


def test_a_probe_works_where_the_gateway_is_not_required(open_synapse: Synapse) -> None:
    user = open_synapse.register()
    agent = "myelin-probe/" + open_synapse.signer.sign("probe")
    reply = open_synapse.login(password_stage(user.user_id), agent)
    assert reply.body["org.myelin.user_id"] == user.user_id


def test_a_stale_probe_is_no_login_where_the_gateway_is_not_required(
    open_synapse: Synapse,
) -> None:
    user = open_synapse.register()
    agent = "myelin-probe/" + open_synapse.signer.sign("probe", iat=1, exp=2)
    reply = open_synapse.login(password_stage(user.user_id), agent)
    assert reply.refusal == (403, "M_FORBIDDEN")
