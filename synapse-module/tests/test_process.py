"""What a restart and a second process mean."""

from pathlib import Path

from synapse_server import Synapse, password_stage


def test_an_assertion_spent_before_a_restart_is_refused_after_it(tmp_path: Path) -> None:
    with Synapse(tmp_path) as synapse:
        synapse.wait_until_believed()
        spent, unspent = (synapse.signer.sign("hello") for _ in range(2))
        assert synapse.hello(spent).status == 200
        synapse.stop()
        synapse.start()
        synapse.wait_until_believed()
        assert synapse.hello(spent).status == 404
        assert synapse.hello(unspent).status == 404
        assert "it may be from before this process began" in synapse.log


def test_a_process_that_is_not_the_named_worker_believes_nothing(tmp_path: Path) -> None:
    # Without skew, so that nothing is refused for being too early.
    with Synapse(tmp_path, {"worker_name": "login", "max_clock_skew_ms": 0}) as synapse:
        user = synapse.register()
        assert synapse.hello().status == 404
        assert "org.myelin.user_id" not in synapse.probe(user.user_id).body
        assert "access_token" not in synapse.login(password_stage(user.user_id)).body
