"""A proof has one spelling, and a flood of worthless ones silences nobody but the name it came under."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from backstay.kernel.proof import IN_ALL, PER_PERSON, STRANGERS, Doubts, proof_id

SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
KEY = ec.generate_private_key(ec.SECP256R1())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def other_end(text: str, bits: int = 1) -> str:
    """The text with other spare bits in its last character, which decodes to the same bytes."""
    return text[:-1] + SIGNS[SIGNS.index(text[-1]) ^ bits]


SIGNATURE = "ed25519.1764000000." + part(bytes(range(64)))
TOKEN = f"{part({'alg': 'EdDSA', 'k': 'ab'})}.{part({'sub': 'a1', 'n': 1})}.{part(bytes(64))}"


def test_a_signature_is_remembered_whole() -> None:
    assert proof_id(SIGNATURE) == SIGNATURE
    assert proof_id("ed25519.0." + "A" * 86) is not None


def test_a_token_is_remembered_by_what_is_signed_of_it() -> None:
    assert proof_id(TOKEN) == TOKEN.rpartition(".")[0]


def test_a_token_with_its_other_valid_signature_is_the_same_token() -> None:
    token = jwt.encode({"sub": "a1"}, KEY, "ES256")
    text, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    other = f"{text}.{part(r.to_bytes(32) + (ORDER - s).to_bytes(32))}"
    jwt.decode(other, KEY.public_key(), ["ES256"])  # it verifies
    assert other != token
    assert proof_id(other) == proof_id(token)


NO_FORMS = {
    "nothing": "",
    "any text": "junk-7",
    "other spare bits of a signature": other_end(SIGNATURE),
    "all spare bits of a signature": other_end(SIGNATURE, 15),
    "a zero before the time": SIGNATURE.replace(".17", ".017"),
    "a sign before the time": SIGNATURE.replace(".17", ".+17"),
    "digits of another script": SIGNATURE.replace(".1764", ".١٧٦٤"),
    "no time": SIGNATURE.replace("1764000000", ""),
    "padding of a signature": SIGNATURE + "==",
    "a line behind": SIGNATURE + "\n",
    "a blank before": " " + SIGNATURE,
    "another case of the prefix": SIGNATURE.replace("ed", "ED"),
    "the plain alphabet": "ed25519.7." + "+" * 86,
    "padding of a token": TOKEN + "=",
    "more padding of a token": TOKEN + "==",
    "other spare bits of a token": other_end(TOKEN),
    "a token of two parts": TOKEN.rpartition(".")[0],
    "a token without a signature": TOKEN.rpartition(".")[0] + ".",
    "a token of four parts": TOKEN + ".AA",
    "a length that no bytes have": TOKEN.rpartition(".")[0] + ".AAAAA",
    "a head that is no object": f"{part([1])}.{part({})}.AAAA",
    "claims that are no object": f"{part({})}.{part('text')}.AAAA",
    "three words": "one.two.three",
}


@pytest.mark.parametrize("proof", NO_FORMS.values(), ids=NO_FORMS)
def test_anything_else_is_no_proof_by_its_form(proof: str) -> None:
    assert proof_id(proof) is None


def flooded(person: str, times: int, doubts: Doubts | None = None) -> Doubts:
    doubts = doubts or Doubts()
    for _ in range(times):
        if doubts.leave_room(person):
            doubts = doubts.changed(person, 1)
    return doubts


def test_a_flood_under_one_name_leaves_room_for_all_others() -> None:
    doubts = flooded("alice", 500)
    assert (doubts.total, doubts.leave_room("alice")) == (PER_PERSON, False)
    assert doubts.leave_room("bob")
    assert doubts.leave_room("")


def test_a_flood_under_names_that_are_made_up_leaves_room_for_the_people_of_the_run() -> None:
    doubts = flooded("", 500)
    assert (doubts.total, doubts.leave_room("")) == (STRANGERS, False)
    assert doubts.leave_room("alice")


def test_floods_under_all_names_are_bounded_together() -> None:
    doubts = Doubts()
    for number in range(2 * IN_ALL // PER_PERSON):
        doubts = flooded(f"p{number}", PER_PERSON, doubts)
    assert doubts.total == IN_ALL
    assert not doubts.leave_room("nobody yet")


def test_a_proof_that_holds_takes_no_room() -> None:
    doubts = Doubts()
    for _ in range(3 * PER_PERSON):
        doubts = doubts.changed("alice", 1).changed("alice", -1)
    assert doubts.leave_room("alice")
