"""The keys that sign evidence, and whose signatures count."""

import base64
from dataclasses import replace

import pytest

from backstay.adapters.archive.keys import PublicKey, audit_keys, fault_of
from backstay.errors import ConfigurationError
from backstay.kernel.audit_file import Claim

SEED = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()
[KEY] = audit_keys(f"2026a:{SEED}")
DATA = b"what is signed"
CLAIM = Claim("2026a", KEY.public, DATA, KEY.sign(DATA))


def test_the_first_key_signs_and_all_are_published() -> None:
    keys = audit_keys(f"2026a:{SEED}, 2025z:{OTHER}")
    assert [one.key for one in keys] == ["2026a", "2025z"]
    assert len({one.public for one in keys}) == 2


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_keys_nothing_is_signed(nothing: str | None) -> None:
    assert audit_keys(nothing) == []


@pytest.mark.parametrize("text", ["2026a", "2026a:short", ":", f"a:{SEED},a:{OTHER}"])
def test_a_key_that_cannot_be_used_is_named_by_its_variable_and_never_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        audit_keys(text)
    assert refused.value.where == "`BACKSTAY_AUDIT_KEY`"
    assert SEED not in str(refused.value)


def test_a_key_says_nothing_of_itself_when_it_is_printed() -> None:
    assert SEED not in repr(KEY)


def test_a_signature_holds_for_its_key() -> None:
    assert fault_of(CLAIM) is None
    assert fault_of(CLAIM, [PublicKey(KEY.public)]) is None
    assert fault_of(CLAIM, [PublicKey(KEY.public, "2026a")]) is None


def test_another_key_than_the_trusted_one_is_a_fault() -> None:
    [other] = audit_keys(f"2026a:{OTHER}")
    assert fault_of(CLAIM, [PublicKey(other.public)]) == "it is signed by another key than the one given: `2026a`"
    assert fault_of(CLAIM, [PublicKey(KEY.public, "2025z")]) is not None


def test_nothing_signed_is_a_fault_only_where_a_key_is_trusted() -> None:
    assert fault_of(None) is None
    assert fault_of(None, [PublicKey(KEY.public)]) == "it is not signed"


@pytest.mark.parametrize(
    "changes",
    [
        {"signed": b"something else"},
        {"signature": KEY.sign(b"something else")},
        {"signature": ""},
        {"signature": "%%%"},
        {"signature": CLAIM.signature[:-3] + chr(ord(CLAIM.signature[-3]) + 1) + "=="},
        {"public": audit_keys(f"a:{OTHER}")[0].public},
        {"public": base64.b64encode(b"\xff" * 32).decode()},
        {"public": "None"},
    ],
)
def test_a_signature_that_does_not_fit_is_a_fault(changes: dict[str, str]) -> None:
    assert fault_of(replace(CLAIM, **changes)) == "the signature does not fit: it was changed, or what it signs was"


def test_a_public_key_is_read_with_and_without_its_id() -> None:
    assert PublicKey.read(f" 2026a:{KEY.public} ") == PublicKey(KEY.public, "2026a")
    assert PublicKey.read(KEY.public) == PublicKey(KEY.public)


@pytest.mark.parametrize("text", ["", "2026a", "2026a:", KEY.public[:-1], f"{KEY.public}x", "A" * 42 + "B="])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no public key"):
        PublicKey.read(text)
