"""One call: its input and result cross the wire whole, and a long text is cut where a reader can tell."""

import pytest

from backstay.contracts.call import ActInput, Reconciled, SharedEffect, ToolResult, shortened
from backstay.contracts.policy import Consent, RunFacts
from backstay.contracts.problems import Contract
from backstay.kernel.verdict import Code, Outcome, Verdict

from .conftest import arrived

VERDICT = Verdict(Outcome.DENY, Code.FORBIDDEN, "d", "v", ("r",), "m", ("finance:2",), ("why",), "observed")
GIVEN = ActInput(
    run_key="key",
    step=1,
    decision="d",
    call_id="1-0",
    tool="pay",
    digest="sha256:d",
    content="c",
    facts=RunFacts(step=1, spent_usd=2, tool_calls=3, tool_calls_60s={"pay": 3}, taint=["web"]),
    now=4,
    consent=Consent(approved_by=["ann"], editors=["bob"]),
    arguments='{"amount": 5}',
    key="shared",
    again=2,
)
RESULT = ToolResult(
    status="denied", text="no", cut=True, verdict=VERDICT, usd=5, shared=SharedEffect(key="shared", performances=2)
)


@pytest.mark.parametrize(
    "sent", [GIVEN, RESULT, Reconciled(answer="happened", text="paid")], ids=lambda sent: type(sent).__name__
)
def test_a_call_arrives_as_it_was_sent(sent: Contract) -> None:
    assert arrived(sent) == sent


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
