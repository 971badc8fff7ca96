"""Whoever may signal or start names anybody: where proofs are verified, a name counts only with a proof of its own."""

import asyncio
import base64
import hmac
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from backstay.adapters.proof.key import PersonKey
from backstay.adapters.proof.statement import Signature, unpadded
from backstay.client.client import BackstayClient
from backstay.contracts.run import RunRequest
from backstay.errors import ConfigurationError
from backstay.kernel.proof import PER_PERSON
from backstay.testing.runtime import local_runtime

from .office import (
    ALICE,
    AUDIENCE,
    BOB,
    CANARY,
    PAY,
    REQUEST,
    RITA,
    Handle,
    Office,
    last_other,
    people,
    refused,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


Forge = Callable[[Office, Handle, dict[str, Any]], str | None]


def other_run(office: Office, handle: Handle, vote: dict[str, Any]) -> str:
    signed = office.signed(handle, "approve", vote)
    return office.proof(ALICE, signed.model_copy(update={"run_id": "run-another"}))


def changed(**changes: Any) -> Forge:
    """A proof of alice's own over another message than the one that is sent."""
    return lambda office, handle, vote: office.proof(ALICE, office.signed(handle, "approve", {**vote, **changes}))


def forged_bytes(office: Office, handle: Handle, vote: dict[str, Any]) -> str:
    return str(Signature(int(time.time()), bytes(64)))


def token(**changes: Any) -> Forge:
    return lambda office, handle, vote: office.token(office.signed(handle, "approve", vote), **changes)


def by_hmac_of_the_public_key(office: Office, handle: Handle, vote: dict[str, Any]) -> str:
    message = office.signed(handle, "approve", vote)
    head = office.token(message, key="0" * 64, algorithm="HS256").rpartition(".")[0]
    public = office.issuer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{head}.{unpadded(hmac.digest(public, head.encode(), 'sha256'))}"


NO_PROOFS: dict[str, tuple[Forge, str]] = {
    "none": (lambda *_: None, "ProofRequired"),
    "any text": (lambda *_: CANARY, "ProofInvalid"),
    "an empty text": (lambda *_: "", "ProofInvalid"),
    "a forged signature": (forged_bytes, "ProofInvalid"),
    "the key of another person": (
        lambda office, handle, vote: office.proof(BOB, office.signed(handle, "approve", vote)),
        "ProofInvalid",
    ),
    "of another run": (other_run, "ProofInvalid"),
    "of another approval": (changed(approval_id="apr_other"), "ProofInvalid"),
    "of another comment": (changed(comment="only if Bob agrees"), "ProofInvalid"),
    "of another message": (
        lambda office, handle, vote: office.proof(ALICE, office.signed(handle, "deny", vote)),
        "ProofInvalid",
    ),
    "of eleven minutes ago": (
        lambda office, handle, vote: office.proof(ALICE, office.signed(handle, "approve", vote), age=660),
        "ProofExpired",
    ),
    "of an hour ahead": (
        lambda office, handle, vote: office.proof(ALICE, office.signed(handle, "approve", vote), age=-3_600),
        "ProofExpired",
    ),
    "a token for another audience": (token(aud="the wiki"), "ProofInvalid"),
    "a token for two audiences": (token(aud=[AUDIENCE, "the wiki"]), "ProofInvalid"),
    "a token of another issuer": (token(iss="https://evil.example"), "ProofInvalid"),
    "a token of another subject": (token(sub="b1"), "ProofInvalid"),
    "a token for another message": (token(nonce="another"), "ProofInvalid"),
    "a token for no message": (token(nonce=None), "ProofInvalid"),
    "a token without an end": (token(exp=None), "ProofInvalid"),
    "a token that is over": (token(exp=1), "ProofInvalid"),
    "a token of eleven minutes ago": (token(iat=int(time.time()) - 900), "ProofExpired"),
    "a token that nobody signed": (token(algorithm="none"), "ProofInvalid"),
    "a token signed with what all know": (by_hmac_of_the_public_key, "ProofInvalid"),
}


async def test_a_name_without_a_proof_of_its_own_releases_nothing(office: Office) -> None:
    handle, approval = await office.waiting()
    vote = {"approval_id": approval, "by": ALICE}
    got: dict[str, str] = {}
    for what, (forge, _) in NO_PROOFS.items():
        proof = forge(office, handle, vote)
        got[what] = await refused(handle, "approve", vote if proof is None else {**vote, "proof": proof})
    assert got == {what: code for what, (_, code) in NO_PROOFS.items()}
    records = await office.audit(handle, "message_refused")
    assert {(record["message"], record["by"]) for record in records} == {("approve", ALICE)}
    assert CANARY not in json.dumps((await handle.query("audit"))["items"])
    assert (await handle.query("status"))["pending_approvals"][0]["answered_by"] == []
    assert office.paid(handle) == []
    await handle.signal("kill", {})


@pytest.mark.parametrize("how", ["signature", "token", "signal"])
async def test_a_proof_of_this_very_answer_releases_the_call(office: Office, how: str) -> None:
    handle, approval = await office.waiting()
    vote = {"approval_id": approval, "by": "Alice <ALICE@example.com>", "comment": "ok"}
    signed = office.signed(handle, "approve", vote)
    message = {**vote, "proof": office.token(signed) if how == "token" else office.proof(ALICE, signed)}
    if how == "signal":
        await handle.signal("approve", message)
    else:
        assert await refused(handle, "approve", message) == "taken"
    assert (await handle.result())["status"] == "completed"
    assert office.paid(handle) == [f"{handle.id} []"]  # a tool is not told the proof of the start
    proven = [(fact["message"], fact["by"]) for fact in await office.audit(handle, "claim_proven")]
    assert proven == [("start", RITA), ("approve", vote["by"])]


async def test_who_asked_for_a_run_releases_nothing_under_another_spelling_with_a_good_proof(office: Office) -> None:
    handle, approval = await office.waiting()
    vote = {"approval_id": approval, "by": "Rita <RITA@example.com>"}
    proof = office.proof(RITA, office.signed(handle, "approve", vote))
    assert await refused(handle, "approve", {**vote, "proof": proof}) == "RequesterMayNotApprove"
    # Nor does she with a proof of her own under the name of somebody else.
    vote["by"] = BOB
    proof = office.proof(RITA, office.signed(handle, "approve", vote))
    assert await refused(handle, "approve", {**vote, "proof": proof}) == "ProofInvalid"
    await handle.signal("kill", {})


async def test_each_message_but_a_kill_needs_a_proof_and_a_kill_names_nobody(office: Office) -> None:
    handle = await office.start("wait")
    while (await handle.query("status"))["state"] != "running":
        await asyncio.sleep(0.02)
    for name in ("pause", "resume"):
        assert await refused(handle, name, {"by": ALICE}) == "ProofRequired"
    hold = {"by": ALICE, "reason": "lunch"}
    proof = office.proof(ALICE, office.signed(handle, "pause", hold))
    assert await refused(handle, "pause", {**hold, "proof": proof}) == "taken"
    assert (await handle.query("status"))["state"] == "paused"
    # A proof counts once: whoever saw it in the history cannot send it again.
    assert await refused(handle, "pause", {**hold, "proof": proof}) == "ProofUsed"
    assert await refused(handle, "resume", {**hold, "proof": proof}) == "ProofUsed"
    await handle.execute_update("kill", {"by": ALICE, "reason": "enough"})
    assert (await handle.result())["stop_reason"] == "killed"
    assert await office.audit(handle, "killed") == [{"by": "unknown", "reason": "enough"}]


async def test_an_approval_that_closed_while_a_proof_was_verified_takes_no_second_answer(office: Office) -> None:
    handle, approval = await office.waiting()
    hold = {"by": ALICE}  # keeps the run open, whoever answers first
    paused = {**hold, "proof": office.proof(ALICE, office.signed(handle, "pause", hold))}
    assert await refused(handle, "pause", paused) == "taken"
    votes = [{"approval_id": approval, "by": by} for by in (ALICE, BOB)]
    proofs = [office.proof(vote["by"], office.signed(handle, "approve", vote)) for vote in votes]
    sent = [{**vote, "proof": proof} for vote, proof in zip(votes, proofs, strict=True)]
    got = await asyncio.gather(*(refused(handle, "approve", message) for message in [*sent, *sent]))
    assert got.count("taken") == 1
    assert set(got) <= {"taken", "ApprovalClosed", "ProofUsed"}
    assert len(await office.audit(handle, "approval_voted")) == 1
    await handle.signal("kill", {})


async def test_an_edit_needs_a_proof_over_its_arguments(office: Office) -> None:
    handle, approval = await office.waiting()
    edit: dict[str, Any] = {"approval_id": approval, "by": ALICE, "args": {"amount": 5}}
    assert await refused(handle, "edit", edit) == "ProofRequired"
    proof = office.proof(ALICE, office.signed(handle, "edit", edit))
    assert await refused(handle, "edit", {**edit, "args": {"amount": 5_000}, "proof": proof}) == "ProofInvalid"
    assert await refused(handle, "edit", {**edit, "proof": proof}) == "taken"
    await handle.signal("kill", {})


async def verified(handle: Handle) -> int:
    """Counts the proofs that the run had verified."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ].count("verify")


async def test_a_hundred_worthless_proofs_make_a_run_deaf_to_nobody(office: Office) -> None:
    handle, approval = await office.waiting()
    for number in range(100):
        await handle.signal("approve", {"approval_id": approval, "by": ALICE, "proof": f"{CANARY}-{number}"})
    forged = [str(Signature(int(time.time()), number.to_bytes(64))) for number in range(40)]
    for proof in forged:
        await handle.signal("approve", {"approval_id": approval, "by": BOB, "proof": proof})
        await handle.signal("pause", {"by": f"made-up-{proof[-4:]}@example.com", "proof": proof})
    vote = {"approval_id": approval, "by": BOB, "proof": forged[-1]}
    assert await refused(handle, "approve", vote) == "TooManyProofs"
    assert await verified(handle) == PER_PERSON + 40
    hold = {"by": RITA, "reason": "a flood"}
    assert (
        await refused(handle, "pause", {**hold, "proof": office.proof(RITA, office.signed(handle, "pause", hold))})
        == "taken"
    )
    assert (
        await refused(handle, "resume", {**hold, "proof": office.proof(RITA, office.signed(handle, "resume", hold))})
        == "taken"
    )
    vote = {"approval_id": approval, "by": ALICE}
    assert (
        await refused(handle, "approve", {**vote, "proof": office.proof(ALICE, office.signed(handle, "approve", vote))})
        == "taken"
    )
    assert (await handle.result())["status"] == "completed"


RESPELLED: dict[str, Callable[[str], str]] = {
    "other spare bits": last_other,
    "a zero before the time": lambda proof: proof.replace(".", ".0", 1),
    "padding": lambda proof: proof + "==",
    "one sign of padding": lambda proof: proof + "=",
    "a line behind": lambda proof: proof + "\n",
}


@pytest.mark.parametrize("kind", ["signature", "token"])
async def test_a_used_proof_counts_in_no_other_spelling(office: Office, kind: str) -> None:
    handle = await office.start("wait")
    while (await handle.query("status"))["state"] != "running":
        await asyncio.sleep(0.02)
    hold = {"by": ALICE, "reason": "lunch"}
    signed = office.signed(handle, "pause", hold)
    proof = office.proof(ALICE, signed) if kind == "signature" else office.token(signed)
    assert await refused(handle, "pause", {**hold, "proof": proof}) == "taken"
    got = {how: await refused(handle, "pause", {**hold, "proof": spell(proof)}) for how, spell in RESPELLED.items()}
    assert got == dict.fromkeys(RESPELLED, "ProofInvalid")
    assert await refused(handle, "pause", {**hold, "proof": proof}) == "ProofUsed"
    await handle.signal("kill", {})


async def test_the_client_signs_what_a_run_wants_signed(office: Office) -> None:
    backstay = BackstayClient(office.client, office.runtime.settings.task_queue)
    backstay.signer = PersonKey(office.keys[RITA]).sign
    run = await backstay.start(RunRequest.model_validate(REQUEST), f"run-{uuid.uuid4()}", sign=True)
    again = await backstay.start(RunRequest.model_validate(REQUEST), run.run_id, sign=True)
    assert again.run_id == run.run_id  # signed anew, and the same run
    approval = await office.asked(office.client.get_workflow_handle(run.run_id))
    backstay.signer = PersonKey(office.keys[BOB]).sign
    assert (await run.approve(approval, BOB, "fine")).state == "closed"
    assert (await run.result()).status == "completed"


async def test_the_command_signs_with_the_key_of_whoever_types_it(office: Office, tmp_path: Path) -> None:
    async def typed(who: str, *arguments: str) -> int:
        """The exit code of a command of somebody with a key in a state folder of their own."""
        raw = office.keys[who].private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        key = tmp_path / who / "backstay" / "person.key"
        key.parent.mkdir(parents=True)
        key.write_bytes(base64.b64encode(raw))
        environment = {
            **os.environ,
            "XDG_STATE_HOME": str(tmp_path / who),
            "TEMPORAL_ADDRESS": office.client.service_client.config.target_host,
            "BACKSTAY_TASK_QUEUE": office.runtime.settings.task_queue,
            "BACKSTAY_USER": who,
        }
        command = await asyncio.create_subprocess_exec(sys.executable, "-m", "backstay", *arguments, env=environment)
        return await command.wait()

    run_id = f"run-{uuid.uuid4()}"
    start = ["run", "pay", "--agent", "desk", "--tenant", "acme", "--id", run_id, "--no-wait", "--sign"]
    assert await typed(RITA, *start) == 0
    handle: Handle = office.client.get_workflow_handle(run_id)
    await office.asked(handle)
    assert await typed(BOB, "approve", run_id, "--yes") == 0
    assert (await handle.result())["status"] == "completed"
    assert [fact["by"] for fact in await office.audit(handle, "claim_proven")] == [RITA, BOB]


@pytest.mark.parametrize("how", ["update", "signal"])
async def test_a_proof_that_nothing_verifies_is_refused(trusting: Office, how: str) -> None:
    run_id = f"run-{uuid.uuid4()}"
    handle = await trusting.runtime.start(REQUEST, run_id)
    approval = await trusting.asked(handle)
    vote = {"approval_id": approval, "by": ALICE, "proof": CANARY}
    if how == "update":
        assert await refused(handle, "approve", vote) == "ProofUnverifiable"
        assert await refused(handle, "pause", {"by": ALICE, "proof": CANARY}) == "ProofUnverifiable"
    else:
        await handle.signal("approve", vote)
        while not (records := await trusting.audit(handle, "message_refused")):
            await asyncio.sleep(0.02)
        assert records == [{"message": "approve", "code": "ProofUnverifiable", "by": ALICE}]
    assert trusting.paid(handle) == []
    # The command's key signs nothing where nothing verifies it, and a claim counts as a claim.
    backstay = BackstayClient(trusting.client)
    backstay.signer = PersonKey(trusting.keys[ALICE]).sign
    assert (await backstay.approve(run_id, approval, ALICE)).state == "closed"
    assert (await handle.result())["status"] == "completed"
    scheduled = [event.activity_task_scheduled_event_attributes async for event in handle.fetch_history_events()]
    assert "verify" not in {one.activity_type.name for one in scheduled}


async def test_a_worker_that_should_require_what_it_cannot_verify_does_not_start(trusting: Office) -> None:
    with pytest.raises(ConfigurationError, match="BACKSTAY_PEOPLE_KEYS"):
        async with local_runtime(PAY, client=trusting.client, require_proof=True):
            pass


async def test_a_key_taken_out_of_the_file_proves_nothing_any_more(office: Office, tmp_path: Path) -> None:
    file = people(tmp_path, office.keys, office.issuer)
    given: dict[str, Any] = {"agents": office.folder.parent, "people_keys": file}
    async with local_runtime(PAY, client=office.client, **given) as runtime:
        place = Office(runtime, office.keys, office.issuer, office.folder)
        handle, approval = await place.waiting()
        other = base64.b64encode(bytes(32)).decode()
        file.write_text(file.read_text().replace(PersonKey(office.keys[ALICE]).public, f"ed25519:{other}"))
        vote = {"approval_id": approval, "by": ALICE}
        proof = place.proof(ALICE, place.signed(handle, "approve", vote))
        assert await refused(handle, "approve", {**vote, "proof": proof}) == "ProofInvalid"
        file.write_text("nonsense")
        assert await refused(handle, "approve", {**vote, "proof": proof}) == "ProofUnverifiable"
        assert await refused(handle, "approve", vote) == "taken"  # nothing requires a proof here: a claim counts
