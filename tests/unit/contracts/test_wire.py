"""What crosses between workflow and activities arrives as it was sent, under names that never change."""

import pytest

from backstay.contracts.admission import Admission, AdmitInput, ModelSpec, Opening, ToolSpec
from backstay.contracts.budget import BudgetLimits
from backstay.contracts.call import ToolResult, shortened
from backstay.contracts.decision import (
    BilledUsage,
    DecideFailure,
    DecideInput,
    DecideResult,
    Decision,
    Observation,
    ProposedCall,
    short_digest,
)
from backstay.contracts.policy import AuthorizeResult
from backstay.contracts.problems import Contract
from backstay.kernel.budget import Limits, ToolLimit
from backstay.kernel.price import Price, Tier
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict

TOOL = ToolSpec(
    name="pay", description="Pays.", parameters={"type": "object"}, digest="sha256:t", effect="once", timeout=30.0
)
ADMISSION = Admission(
    agent="clerk",
    agent_version="sha256:a",
    instructions="Be careful.",
    model=ModelSpec(
        name="m",
        api="chat",
        max_output_tokens=100,
        give_up_after=600.0,
        price=Price((Tier(0, 1, 2, 3), Tier(200_000, 4, 5, 6)), "genai-prices 0.2"),
    ),
    tools=[TOOL],
    limits=Limits(1, None, 3, 4, 10**15, 6, {"pay": ToolLimit(1, None)}),
    thresholds=Thresholds(1, 2, 3, 4, expiry_stops=True),
    policy_version="sha256:p",
)
VERDICT = Verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, "d", "v", ("r",), "m", ("finance:2",), ("why",))
CALL = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}')
SENT: list[Contract] = [
    ADMISSION,
    AdmitInput(agent="clerk", budget=BudgetLimits(usd="0.50")),
    Opening(run_id="r", goal="go", agent="clerk", tenant="t", requested_by=None, admission=ADMISSION),
    AuthorizeResult(verdicts=[VERDICT]),
    ToolResult(status="denied", text="no", verdict=VERDICT),
    Decision(text="hm", calls=[CALL], finish="length", reasoning=[{"type": "reasoning", "id": "rs_1"}]),
    DecideInput(
        step=1,
        run_key="k",
        max_output_tokens=5,
        attempts=3,
        observations=[Observation(call_id="1-0", digest="d"), Observation(call_id="1-1", text="denied")],
        notes=["The runtime says: no."],
    ),
    DecideResult(decision=Decision(text="5"), usage=BilledUsage(input_tokens=5, output_tokens=1), lost_attempts=1),
    DecideFailure(lost_attempts=2),
]


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: type(sent).__name__)
def test_what_is_sent_arrives_as_it_was(sent: Contract) -> None:
    assert type(sent).model_validate_json(sent.model_dump_json()) == sent


def test_an_admission_knows_its_tools_by_name() -> None:
    assert ADMISSION.tool("pay") == TOOL
    assert ADMISSION.tool("mail") is None


def test_the_digest_of_a_decision_tells_any_two_apart() -> None:
    decisions = [
        Decision(),
        Decision(text=""),
        Decision(text="5"),
        Decision(calls=[CALL]),
        Decision(finish="length"),
        Decision(reasoning=[{"id": "rs_1"}]),
    ]
    assert len({decision.digest(1) for decision in decisions}) == len(decisions)
    assert Decision(text="5").digest(1) == Decision.model_validate_json('{"text": "5"}').digest(1)
    assert Decision().digest(1) != Decision().digest(2)


def test_a_short_digest_is_made_of_any_text() -> None:
    assert short_digest("") == "e3b0c44298fc1c14"
    assert short_digest("\ud800") != short_digest("\ud801")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", ("short", False)),
        ("exactly 16 bytes", ("exactly 16 bytes", False)),
        ("more than sixteen bytes", ("more than sixtee\n[cut here: 23 bytes in all, the first 16 are shown]", True)),
        ("fifteen bytes..é", ("fifteen bytes..\n[cut here: 17 bytes in all, the first 16 are shown]", True)),
        ("half \ud800", ("half ?", False)),
    ],
)
def test_a_text_is_cut_at_a_limit_between_characters_and_says_so(text: str, shown: tuple[str, bool]) -> None:
    assert shortened(text, 16) == shown
