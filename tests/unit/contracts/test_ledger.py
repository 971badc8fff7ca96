"""What passes between runs and ledgers is read strictly: nothing negative, nothing from nowhere."""

import hashlib
import json
from typing import Any

import pytest
from pydantic import ValidationError

from backstay.contracts.ledger import (
    BookRequest,
    Closing,
    LedgerInput,
    LedgerRef,
    LimitNotice,
    ReserveInput,
    RestoreResult,
)
from backstay.contracts.run import plain
from backstay.kernel.ledger import MOST_ENDED, MOST_HOLDS, Books, Hold, Holder, Waiter
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_queue import MOST_WAITING
from backstay.kernel.ledger_sums import Crossing

HOLDER = {"key": "key-1", "workflow_id": "run-1", "run_id": "execution", "agent": "clerk"}
ASKED = {"id": "key-1/reserve-0", "holder": HOLDER, "amounts": {"usd": 5}, "limits": []}
START = {"ledger": {"tenant": "acme"}}


def fields(*args: Any, continued: bool = False) -> list[str]:
    """The fields that do not fit."""
    read = LedgerInput.read(args, continued=continued)
    return [problem.field for problem in read] if isinstance(read, list) else []


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ((), "$"),
        ((START, START), "$"),
        ((3,), "$"),
        (({},), "ledger"),
        (({"ledger": {"tenant": ""}},), "ledger.tenant"),
        (({**START, "more": 1},), "more"),
        (({**START, "books": {"level": "tenant"}},), "books"),
    ],
)
def test_a_start_that_does_not_fit_names_the_field(args: tuple[Any, ...], field: str) -> None:
    assert fields(*args) == [field]


def test_books_are_believed_from_an_earlier_link_alone() -> None:
    assert fields(START) == []
    assert fields({**START, "books": {"level": "tenant"}}, continued=True) == []


@pytest.mark.parametrize(
    "batch",
    [
        {"holds": [{**ASKED, "amounts": {"usd": -5}}]},
        {"settled": {"key-1/reserve-0": {"usd": -1}}},
        {"settled": {"key-1/reserve-0": {"usd": 1.5}}},
        {"released": [7]},
        {"holds": [{"id": "key-1/reserve-0"}]},
    ],
)
def test_a_batch_never_takes_anything_away_from_a_sum(batch: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BookRequest.model_validate({"spans": [], **batch})


def test_a_batch_holds_what_it_says() -> None:
    request = BookRequest.model_validate({"spans": [], "holds": [ASKED]})
    assert (request.holds[0].id, request.holds[0].holder.agent) == ("key-1/reserve-0", "clerk")


def test_a_batch_says_which_attempts_withdraw_only_where_some_do() -> None:
    quiet = BookRequest(spans=[])
    assert "withdrawn" not in plain(quiet), "a ledger of an earlier version refuses what it does not know"
    withdrawing = BookRequest(spans=[], withdrawn={"h1": 2})
    assert plain(withdrawing)["withdrawn"] == {"h1": 2}
    assert BookRequest.model_validate(plain(withdrawing)) == withdrawing


def test_a_run_spends_and_draws_nothing_negative() -> None:
    with pytest.raises(ValidationError):
        Closing.model_validate({"holder": HOLDER, "spent": {"usd": -1}})
    with pytest.raises(ValidationError):
        ReserveInput.model_validate({"name": "n", "holder": "h", "tenant": "t", "agent": "a", "amounts": {"usd": -1}})


def test_a_ledger_is_a_tenants_or_the_organisations() -> None:
    tenant, organisation = LedgerRef(tenant="acme"), LedgerRef()
    assert (tenant.level, tenant.words) == ("tenant", "the ledger of tenant acme")
    assert (organisation.level, organisation.words) == ("organisation", "the organisation's ledger")


def test_a_notice_says_which_limit_is_near() -> None:
    crossing = Crossing("usd:tenant:day", "tenant", "2026-11-30", 80, 85, 100)
    notice = LimitNotice(run_id="run-1", agent="clerk", tenant="acme", crossing=crossing)
    assert notice.model_dump(mode="json")["event"] == "limit_neared"


MOST_BYTES = 2_000_000
"""Temporal refuses larger messages; an input of continue-as-new that is larger ends the workflow."""


def digits(text: str, count: int) -> str:
    """Letters that no packing makes shorter than they are."""
    return hashlib.sha256(text.encode()).hexdigest()[:count]


def full_books() -> Books:
    """The most that books hold, each hold for a run of its own."""
    holds: dict[str, Hold] = {}
    for number in range(MOST_HOLDS):
        key, execution = digits(f"key {number}", 32), digits(f"execution {number}", 32)
        name = f"{key}/meter-{number % 20}-0-0-{digits(f'call {number}', 16)}"
        holder = Holder(key, f"refund-{digits(f'id {number}', 32)}", execution, "support")
        amounts, keys = {"exposure:refunds_usd": 990_000 + number}, {Period.DAY: "2026-11-30", Period.MONTH: "2026-11"}
        holds[name] = Hold(name, holder, amounts, ("tenant", "agent:support"), keys, 1_796_000_000_000 + number)
    waiting: dict[str, Waiter] = {}
    for number in range(MOST_WAITING):
        key, execution = digits(f"waiting {number}", 32), digits(f"of waiting {number}", 32)
        waiter = Waiter(Holder(key, f"refund-{digits(f'its id {number}', 32)}", execution, "support"), "agents", number)
        waiting[waiter.id] = waiter
    ended = {digits(f"ended {number}", 32): number for number in range(MOST_ENDED)}
    return Books("tenant", holds=holds, ended=ended, waiting=waiting)


def test_the_fullest_books_fit_into_one_message() -> None:
    books = full_books()
    handed_on, restored = LedgerInput(ledger=LedgerRef(tenant="acme"), books=books), RestoreResult(books=books)
    for contract in (handed_on, restored):
        assert len(json.dumps(plain(contract))) < MOST_BYTES
        assert type(contract).model_validate(plain(contract)) == contract
