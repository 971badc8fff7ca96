"""What a run asks ledgers to count, and what they answer."""

from backstay.contracts.ledger import LedgerRef, Reserved
from backstay.contracts.metering import Metered, MeterResult
from backstay.kernel.ledger import Hold, Holder
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Excess


def test_what_was_counted_comes_back_the_same_from_its_json() -> None:
    keys = {Period.DAY: "2026-11-30", Period.MONTH: "2026-11"}
    sums = {"exposure:refunds": {Period.DAY: 9, Period.MONTH: 99}}
    holder = Holder("key", "run-1", "execution", "clerk")
    hold = Hold("key/meter-1-0-0-c", holder, {"exposure:refunds": 9}, ("tenant",), keys, 5, (), sums)
    over = Excess("exposure:refunds:tenant:day", 9, 1, ("finance",), sums)
    calls = {
        "1-0": Metered(name="meter-1-0-0-c", exposure={"refunds": 9}, held=[Reserved(ledger=LedgerRef(), hold=hold)]),
        "1-1": Metered(name="meter-1-1-0-c", exposure={"refunds": 9}, excess=over, sums={"refunds": {Period.DAY: 9}}),
    }
    result = MeterResult(calls=calls)
    assert MeterResult.model_validate_json(result.model_dump_json()) == result
