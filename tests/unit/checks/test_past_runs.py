"""What policy was asked is found again in recorded histories."""

from base64 import b64encode

import pytest
from temporalio.service import RPCStatusCode

from backstay.checks.past_runs import Unread
from backstay.errors import ConfigurationError
from backstay.kernel.verdict import Outcome

from .histories import past, read, recorded


async def test_questions_are_found_with_the_answers_that_the_history_has() -> None:
    run = await past("approved")
    assert run.trouble == ""
    assert run.admission is not None
    first, released = run.questions[0], run.questions[-1]
    assert [one.outcome for one in first.verdicts] == [Outcome.REQUIRE_APPROVAL, Outcome.ALLOW]
    assert not first.given.consents
    assert [one.outcome for one in released.verdicts] == [Outcome.ALLOW]
    [call] = released.given.calls
    assert released.given.consents[call.call_id].approved_by
    assert released.given.now >= first.given.now
    assert first.given.tools.keys() == {tool.name for tool in run.admission.tools}


async def test_a_history_that_does_not_replay_still_tells_its_calls() -> None:
    whole = await past("approved")
    run = await past("approved", '"activityId": "decide-1"', '"activityId": "decide-9"')
    assert "does not replay" in run.trouble
    assert run.questions == ()
    first = whole.questions[0]
    assert [one.call.call_id for one in run.calls][:2] == [call.call_id for call in first.given.calls]
    assert [one.verdict for one in run.calls][:2] == list(first.verdicts)


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


async def test_a_refusal_just_before_the_effect_is_a_question_of_its_own() -> None:
    done = '{"status":"completed","text":"<a>","cut":false,"verdict":null,"usd":null,"shared":null}'
    verdict = '{"outcome":"deny","code":"forbidden","digest":"d","policy_version":"v","rules":["new"]}'
    refused = f'{{"status":"denied","text":"denied","verdict":{verdict}}}'
    run = await past("approved", base64(done), base64(refused))
    assert run.trouble == ""
    released, again = run.questions[-2:]
    assert [one.outcome for one in (*released.verdicts, *again.verdicts)] == [Outcome.ALLOW, Outcome.DENY]
    assert [call.call_id for call in again.given.calls] == [call.call_id for call in released.given.calls]
    assert again.given.consents == released.given.consents
    assert again.verdicts[0].rules == ("new",)


@pytest.mark.parametrize("name", ["completed", "killed", "no_progress", "denied_beside", "equal_calls"])
async def test_every_verdict_of_a_history_has_its_question(name: str) -> None:
    run = await past(name)
    assert run.trouble == ""
    assert run.questions
    assert all(len(one.given.calls) == len(one.verdicts) for one in run.questions)


async def test_a_history_that_is_encrypted_with_a_key_that_is_not_here_is_unread() -> None:
    [found] = await read(recorded("approved", base64("json/plain"), base64("binary/encrypted")))
    assert isinstance(found, Unread)
    assert (found.name, "this process has no" in found.why) == ("recorded-approved", True)


@pytest.mark.parametrize("status", [RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT])
async def test_a_link_that_temporal_forgets_meanwhile_is_left_out(status: RPCStatusCode) -> None:
    assert await read(recorded("approved", gone=status)) == []


async def test_a_server_that_refuses_is_said() -> None:
    with pytest.raises(ConfigurationError, match="Temporal refuses this"):
        await read(recorded("approved", gone=RPCStatusCode.PERMISSION_DENIED))
