"""The admission of a run: fixed for its life, whatever is deployed meanwhile."""

from collections.abc import Iterator
from typing import Any, Literal, cast

from pydantic import Field

from backstay.kernel.budget import Limits
from backstay.kernel.history import Extent
from backstay.kernel.marks import Marks, Roles
from backstay.kernel.origins import UNTRUSTED
from backstay.kernel.price import Price
from backstay.kernel.stop import Thresholds

from .budget import BudgetLimits
from .delegate import Above, DelegateSpec, ParentRun
from .exposure import MeterSpec
from .problems import Contract
from .proof import Stance, VerifyInput
from .quota import Account

Effect = Literal["read", "write", "once"]
Dedupe = Literal["run", "tenant"]
OnExhausted = Literal["stop", "ask"]
Api = Literal["responses", "chat"]


class Draws(Contract):
    """Sets how a run draws on ledgers, where the organisation limits the spend of all runs; `lump` is micro-dollars.

    None makes it hold its whole ceiling of US dollars at its admission. `agent_only` marks a run below another one: it
    draws on the limits of its own agent alone, because the run above has drawn on all others.
    """

    lump: int | None = None
    agent_only: bool = False


class ToolSpec(Contract):
    """A tool as the model, the runtime and the rules see it.

    `timeout` is seconds of one attempt, `cost` micro-dollars at most; `facts` has the Cedar type of each fact.
    `dedupe` says in which scope an identical call gets the first one's result, for `dedupe_window` seconds. `exposure`
    names the meters that its calls add to. `marks` says what its results may vouch for, and `roles` what its arguments
    are to rules; `untrusted` is True where any of its results may be. Admissions of before have no marks. A call of a
    tool that `asks` is a question: people answer it, and nobody executes it; calls of one that `delegates` are child
    runs. A tool that is `ready` made judges by itself whom its arguments reach. `function` is the name under which
    models see it, where model servers would not take its own. `answered_by` is the group that answers what its
    server asks in the middle of a call; None where nobody does.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    digest: str
    effect: Effect
    timeout: float
    repeatable: bool = False
    untrusted: bool = False
    cost: int = 0
    reconciles: bool = False
    dedupe: Dedupe | None = None
    dedupe_window: float = 86_400.0
    groups: list[str] = Field(default_factory=list[str])
    facts: dict[str, str] = Field(default_factory=dict[str, str])
    exposure: list[str] = Field(default_factory=list[str])
    marks: Marks | None = None
    roles: Roles = Roles()
    asks: bool = False
    delegates: bool = False
    ready: bool = False
    function: str | None = None
    answered_by: str | None = None

    @property
    def shown_as(self) -> str:
        """The name under which models see it."""
        return self.function or self.name

    @property
    def marked(self) -> Marks:
        """The marks of its results."""
        return self.marks or Marks({UNTRUSTED: ()} if self.untrusted else {})

    @property
    def fields(self) -> frozenset[str]:
        """The names of all fields that its arguments may have; any other name in an object is what somebody wrote."""
        return frozenset(_fields(self.parameters))


def _fields(schema: object) -> Iterator[str]:
    """Yields the names of a JSON schema's properties, at whatever depth."""
    if isinstance(schema, list):
        for one in cast("list[object]", schema):
            yield from _fields(one)
    elif isinstance(schema, dict):
        for name, one in cast("dict[str, object]", schema).items():
            yield from cast("dict[str, object]", one) if name == "properties" and isinstance(one, dict) else ()
            yield from _fields(cast("object", one))


class ApprovalSpec(Contract):
    """The settings of approvals, times in seconds; `notify` says whether a webhook is told.

    `unknown` is the group that answers for calls whose outcome nobody knows; without it such a run stops.
    `budget` is the group that may raise limits and answers where a budget is exhausted; without it nobody may.
    `question` is the group that answers questions of the model, and `answering` has the members of those that answer
    questions of servers.
    `wait_at_most` limits all waiting of a run for people together; None in admissions of before that limit, whose
    approvals show `expires_after` alone.
    """

    expires_after: float = 86_400.0
    wait_at_most: float | None = None
    notify: bool = False
    unknown: str | None = None
    unknown_members: list[str] = Field(default_factory=list[str])
    budget: str | None = None
    budget_members: list[str] = Field(default_factory=list[str])
    question: str | None = None
    question_members: list[str] = Field(default_factory=list[str])
    answering: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])


class ConversationSpec(Contract):
    """Says that the run is kept open after each answer, for `keep_open` seconds, so that people may say more.

    Beside who asked for the run the `members` of `group` may speak.
    """

    keep_open: float
    group: str | None = None
    members: list[str] = Field(default_factory=list[str])


class OtherModel(Contract):
    """Another model of a run, at the same server; `price` and `window` are None where they are unknown."""

    name: str
    price: Price | None = None
    window: int | None = None


class ContextSpec(Contract):
    """Says when the conversation is compacted: at `compact_at` percent of the window, by `model` or the run's own."""

    compact_at: int
    model: OtherModel | None = None


class ModelSpec(Contract):
    """The model of a run; `give_up_after` is seconds of failed attempts at one decision.

    `near_limit` is asked once the budget is nearly spent, `fallback` in this order where the model before is not to be
    had. Where the model has an `account`, its calls go over the account's task queue. `window` is how many tokens it
    takes, its reply included; None where that is unknown. `context` is None in admissions of before compaction.
    """

    name: str
    api: Api
    max_output_tokens: int
    give_up_after: float
    price: Price | None
    near_limit: OtherModel | None = None
    fallback: list[OtherModel] = Field(default_factory=list[OtherModel])
    account: Account | None = None
    window: int | None = None
    context: ContextSpec | None = None

    def named(self, name: str | None) -> "ModelSpec":
        """Returns the model of that name among these; None is the first."""
        others = [*self.fallback, *([self.near_limit] if self.near_limit else [])]
        return self.other(next((other for other in others if other.name == name), None))

    def other(self, other: OtherModel | None) -> "ModelSpec":
        """Returns another model, asked in the same way; None is this one."""
        if other is None:
            return self
        return self.model_copy(update={"name": other.name, "price": other.price, "window": other.window})


class ArchiveSpec(Contract):
    """Says that evidence of the run is kept outside of the engine; after `every` records, and at its end; 0: then only.

    It is fixed at the admission, so that a worker without an archive cannot make a run skip its evidence.
    """

    every: int = Field(default=0, ge=0)


class LinkSpec(Contract):
    """Says how long a link of the run's chain grows before another goes on: by events, bytes, or messages.

    It is fixed at the admission, so that a replay rolls over where the run did. `midway` lets a run roll over in the
    middle of a decision that waits for people; runs admitted before that wait in their link.
    """

    events: int = Field(default=4_000, ge=1)
    size: int = Field(default=4_000_000, ge=1)
    messages: int = Field(default=500, ge=1)
    midway: bool = False

    def extent(self) -> Extent:
        """Returns the same for the kernel."""
        return Extent(self.events, self.size, self.messages)


class AdmitInput(Contract):
    """The input of `admit`; `requested_by` is a claim, and so is the tenant, unless the `proof` holds.

    `parent` is what a run above hands down; the engine has to know that there is one.
    """

    agent: str
    tenant: str = "default"
    requested_by: str | None = None
    budget: BudgetLimits | None = None
    proof: VerifyInput | None = None
    parent: ParentRun | None = None


class Admission(Contract):
    """The admission record, the result of the run's first activity.

    `on_exhausted` says whether people are asked for more before a budget ends the run.
    `ceilings` are those that no grant takes a limit above; None in admissions of before grants, which refuse them.
    `proofs` says what becomes of proofs in the run's messages; `proven` that requester and tenant were verified.
    `queues` says whether the run waits for its turn before its first step, because runs at once are limited.
    `draws` says how the run draws on ledgers; None where nothing limits what runs spend together.
    `exposure` has the limits of every meter that a tool adds to, those of a day and a month included.
    `archive` says when evidence is written outside of the engine; None where there is no archive.
    `links` says when the run continues as new; None in admissions of before that, whose runs never do.
    `delegate` says how the run may delegate; None where it may not. `withheld` are tools of the agent that the run does
    not have, because a run above has them not.
    `conversation` says how the run is kept open after its answer; None where it ends with it.
    """

    agent: str
    agent_version: str
    instructions: str
    model: ModelSpec
    tools: list[ToolSpec]
    limits: Limits
    thresholds: Thresholds
    policy_version: str
    approval: ApprovalSpec = ApprovalSpec()
    ceilings: Limits | None = None
    on_exhausted: OnExhausted = "stop"
    seconds_exclude_approvals: bool = False
    search_attributes: bool = True
    proofs: Stance = "unverifiable"
    proven: bool = False
    queues: bool = False
    draws: Draws | None = None
    exposure: dict[str, MeterSpec] = Field(default_factory=dict[str, MeterSpec])
    archive: ArchiveSpec | None = None
    delegate: DelegateSpec | None = None
    withheld: list[str] = Field(default_factory=list[str])
    links: LinkSpec | None = None
    conversation: ConversationSpec | None = None

    def tool(self, name: str) -> ToolSpec | None:
        """Returns the admitted tool of that name; None where there is none."""
        return next((tool for tool in self.tools if tool.name == name), None)


class Opening(Contract):
    """The start of a run: its request, its admission, and whether it was reset.

    `run_key` is the run's own part of its idempotency keys. `asked` is what a person asked for, where the goal was
    written by the model of a run above; `above` are the agents whose rules hold too, and `labels` those of the goal.
    `continues` is the run id of the link before; None in the first link of a chain.
    """

    run_id: str
    run_key: str
    goal: str
    agent: str
    tenant: str
    requested_by: str | None
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    admission: Admission
    reset: bool = False
    asked: str | None = None
    above: list[Above] = Field(default_factory=list[Above])
    labels: list[str] = Field(default_factory=list[str])
    continues: str | None = None
