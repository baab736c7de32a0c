"""An assertion is believed once, in its short life, by the one key it was made for."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from myelin_synapse.assertion import USES, Claims, Verifier
from myelin_synapse.nonces import Nonces
from signer import Signer

SECRET = b"0123456789abcdef0123456789abcdef"
START_MS = 1_800_000_000_000
SKEW_MS = 2_000
NOW_MS = START_MS + 100_000
README = Path(__file__).parent.parent / "README.md"


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        """Stand at the start of the process."""
        self.ms = START_MS
        self.read: Callable[[], int] = lambda: self.ms

    def __call__(self) -> int:
        """The time in milliseconds."""
        return self.read()


@pytest.fixture
def clock() -> Clock:
    """The clock of `verifier`."""
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> Verifier:
    """A verifier some time after its start."""
    verifier = Verifier(SECRET, clock, SKEW_MS, 60_000)
    clock.ms = NOW_MS
    return verifier


def sign(use: str = "login", **changes: Any) -> str:
    claims = {"iat": NOW_MS, "exp": NOW_MS + 30_000, **changes}
    return Signer(SECRET).sign(use, **claims)


def test_a_right_assertion_says_whom_and_what_it_is_about(verifier: Verifier) -> None:
    text = sign("uia", user="@a:b", session="s")
    assert verifier.accept("uia", text) == Claims("@a:b", "s")


def test_a_replayed_assertion_is_refused_until_it_has_expired_anyway(
    verifier: Verifier, clock: Clock
) -> None:
    text = sign()
    assert verifier.accept("login", text)
    for later_ms in (0, 1, 29_999, 30_000, 30_001):
        clock.ms = NOW_MS + later_ms
        assert verifier.accept("login", text) is None


def test_a_nonce_is_spent_for_every_use(verifier: Verifier) -> None:
    assert verifier.accept("login", sign("login", nonce="n" * 22))
    assert verifier.accept("mint", sign("mint", nonce="n" * 22)) is None


@pytest.mark.parametrize("made_for", USES)
@pytest.mark.parametrize("used_for", USES)
def test_an_assertion_is_believed_for_its_own_use_only(
    verifier: Verifier, made_for: str, used_for: str
) -> None:
    believed = verifier.accept(used_for, sign(made_for)) is not None
    assert believed == (made_for == used_for)


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"iat": NOW_MS - 30_000, "exp": NOW_MS},
    {"iat": NOW_MS - 30_001, "exp": NOW_MS - 1},
    {"iat": NOW_MS + SKEW_MS + 1, "exp": NOW_MS + 30_000},
    {"exp": NOW_MS + 60_001},
    {"exp": NOW_MS - 1},
    {"iat": NOW_MS + 10, "exp": NOW_MS + 10},
    {"iat": None},
    {"exp": None},
    {"iat": float(NOW_MS)},
    {"exp": str(NOW_MS + 1_000)},
    {"iat": True},
    {"exp": float("inf")},
    {"nonce": None},
    {"nonce": "short"},
    {"nonce": "n" * 65},
    {"nonce": ["n" * 22]},
    {"user": 1},
    {"session": ["s"]},
    {"v": 2},
    {"v": "1"},
    {"v": None},
    {"use": "mint"},
    {"use": None},
]


@pytest.mark.parametrize("changes", WRONG_CLAIMS, ids=str)
def test_an_assertion_with_wrong_claims_is_refused(
    verifier: Verifier, changes: dict[str, Any]
) -> None:
    claims = {"v": 1, "use": "login", "iat": NOW_MS, "exp": NOW_MS + 30_000, "nonce": "n" * 22}
    good = json.dumps(claims).encode()
    bad = json.dumps(claims | changes).encode()
    assert verifier.accept("login", Signer(SECRET).seal("login", bad)) is None
    # A refused assertion spends no nonce, and the same without the fault is believed.
    assert verifier.accept("login", Signer(SECRET).seal("login", good)) is not None


def test_the_edges_of_the_times_are_believed(verifier: Verifier) -> None:
    assert verifier.accept("login", sign(iat=NOW_MS - 59_999, exp=NOW_MS + 1))
    assert verifier.accept("login", sign(iat=NOW_MS + SKEW_MS, exp=NOW_MS + SKEW_MS + 60_000))


def test_an_assertion_that_may_be_from_before_the_start_is_refused(clock: Clock) -> None:
    verifier = Verifier(SECRET, clock, SKEW_MS, 60_000)
    clock.ms = START_MS + SKEW_MS + 10
    # The gateway's clock may be ahead by the skew, so this one may be older than the process.
    old, new = (sign(iat=START_MS + SKEW_MS + edge, exp=clock.ms + 1_000) for edge in (-1, 0))
    assert verifier.accept("login", old) is None
    assert verifier.accept("login", new)


def test_an_assertion_of_another_secret_is_refused(verifier: Verifier) -> None:
    text = Signer(SECRET[::-1]).sign("login", iat=NOW_MS, exp=NOW_MS + 30_000)
    assert verifier.accept("login", text) is None


def test_every_changed_character_is_refused(verifier: Verifier) -> None:
    text = sign(user="@alice:b")
    for place, character in enumerate(text):
        # The last character of each part may hold bits that mean nothing: they are no change.
        other = chr(ord(character) ^ 1)
        changed = text[:place] + other + text[place + 1 :]
        if not is_same(text, changed):
            assert verifier.accept("login", changed) is None, place
    assert verifier.accept("login", text)


def is_same(one: str, other: str) -> bool:
    """Whether two texts encode the same bytes."""

    def bytes_of(text: str) -> list[bytes]:
        return [base64.urlsafe_b64decode(part + "==") for part in text.split(".")]

    try:
        return bytes_of(one) == bytes_of(other)
    except ValueError:
        return False


@pytest.mark.parametrize(
    "text",
    [None, 1, {}, [], "", ".", "..", "a", "a.b", "e30.e30", "é.é", "\0.\0", "x" * 5_000, "=.="],
    ids=repr,
)
def test_what_is_no_assertion_is_refused(verifier: Verifier, text: object) -> None:
    assert verifier.accept("login", text) is None


DEEP = b"[" * 3_000


@pytest.mark.parametrize("payload", [DEEP, b"", b"[]", b"1", b"null", b"{", b"\xff", b'"login"'])
def test_a_signed_payload_that_is_no_object_is_refused(verifier: Verifier, payload: bytes) -> None:
    assert verifier.accept("login", Signer(SECRET).seal("login", payload)) is None


def test_a_clock_that_breaks_means_refusal(verifier: Verifier, clock: Clock) -> None:
    def broken() -> int:
        raise OSError

    clock.read = broken
    assert verifier.accept("login", sign()) is None


def test_a_full_set_of_nonces_refuses_until_there_is_room() -> None:
    nonces = Nonces(capacity=2)
    assert nonces.spend("a", expires_ms=10, now_ms=0)
    assert nonces.spend("b", expires_ms=20, now_ms=0)
    assert not nonces.spend("c", expires_ms=30, now_ms=9)
    assert not nonces.spend("b", expires_ms=20, now_ms=10)
    assert nonces.spend("c", expires_ms=30, now_ms=10)


def test_the_example_of_the_readme_is_true() -> None:
    text = README.read_text()
    example = dict(re.findall(r"^(secret|use|payload|assertion): +(.+)$", text, re.MULTILINE))
    signer = Signer(example["secret"].encode())
    assert signer.seal(example["use"], example["payload"].encode()) == example["assertion"]
    issued_ms = json.loads(example["payload"])["iat"]
    clock = Clock()
    clock.ms = issued_ms - 60_000
    verifier = Verifier(example["secret"].encode(), clock, SKEW_MS, 60_000)
    clock.ms = issued_ms
    assert verifier.accept(example["use"], example["assertion"])
