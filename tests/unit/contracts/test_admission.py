"""What a run is admitted with crosses the wire whole."""

import pytest

from backstay.contracts.admission import Admission, AdmitInput, ApprovalSpec, ModelSpec, Opening, OtherModel, ToolSpec
from backstay.contracts.budget import BudgetLimits
from backstay.contracts.problems import Contract
from backstay.kernel.budget import Limits, ToolLimit
from backstay.kernel.price import Price, Tier
from backstay.kernel.stop import Thresholds

from .conftest import arrived

PAY = ToolSpec(
    name="pay",
    description="Pays.",
    parameters={"type": "object"},
    digest="sha256:t",
    effect="once",
    timeout=30.0,
    cost=10**15,
    dedupe="tenant",
    groups=["money"],
    facts={"domains": "Set<String>"},
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
        near_limit=OtherModel(name="nano", price=Price((Tier(0, 1, 1, 1),))),
        fallback=[OtherModel(name="other")],
    ),
    tools=[PAY],
    limits=Limits(1, None, 3, 4, 10**15, 6, {"pay": ToolLimit(1, None)}),
    thresholds=Thresholds(1, 2, 3, 4, expiry_stops=True, conclude_at=80),
    policy_version="sha256:p",
    approval=ApprovalSpec(
        expires_after=60.0, notify=True, unknown="ops", unknown_members=["olga"], budget="f", budget_members=["ann"]
    ),
    ceilings=Limits(2, usd=10**16),
    seconds_exclude_approvals=True,
    search_attributes=False,
)
OPENING = Opening(
    run_id="r",
    run_key="k",
    goal="go",
    agent="clerk",
    tenant="t",
    requested_by=None,
    metadata={"n": "1"},
    admission=ADMISSION,
)


@pytest.mark.parametrize(
    "sent",
    [ADMISSION, OPENING, AdmitInput(agent="clerk", requested_by="ann", budget=BudgetLimits(usd="0.50"))],
    ids=lambda sent: type(sent).__name__,
)
def test_what_a_run_is_admitted_with_arrives_as_it_was_sent(sent: Contract) -> None:
    assert arrived(sent) == sent


def test_an_admission_knows_its_tools_by_name() -> None:
    assert ADMISSION.tool("pay") == PAY
    assert ADMISSION.tool("mail") is None


@pytest.mark.parametrize("name", ["nano", "other", None, "gone"])
def test_another_model_has_the_settings_of_the_first_and_its_own_price(name: str | None) -> None:
    model = ADMISSION.model.named(name)
    prices = {"nano": Price((Tier(0, 1, 1, 1),)), "other": None}
    assert (model.name, model.price) == ((name, prices[name]) if name in prices else ("m", ADMISSION.model.price))
    assert (model.api, model.max_output_tokens) == ("chat", 100)


def test_the_fields_of_a_tool_are_those_that_its_schema_names_at_any_depth() -> None:
    address = {"type": "object", "properties": {"street": {"type": "string"}}}
    shares = {"type": "object", "additionalProperties": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]}}
    parameters = {"type": "object", "properties": {"shares": shares}, "$defs": {"Address": address}}
    assert PAY.model_copy(update={"parameters": parameters}).fields == {"shares", "street"}
    assert PAY.fields == frozenset()
