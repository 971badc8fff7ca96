"""Knows how many runs may go on at once: as the organisation says, and as the control plane does."""

from collections.abc import Sequence
from dataclasses import dataclass

from backstay.contracts.ledger import LedgerRef
from backstay.kernel.control import Held, Stage
from backstay.kernel.ledger_sums import RUNS, Limit
from backstay.kernel.scope import Subject
from backstay.ports import Allowances, Control


@dataclass(frozen=True, slots=True)
class AtOnce:
    """The limits of runs at once, as this worker knows them now."""

    allowances: Allowances
    control: Control

    def limits(self, tenant: str, agent: str) -> Sequence[tuple[LedgerRef, tuple[Limit, ...]]]:
        """Returns the ledgers that limit how many runs go on at once, the tenant's first; empty where nothing does."""
        found = self.allowances.at_once(tenant, agent)
        most = self.control.at_once(tenant)
        if most is None:
            return found
        own = LedgerRef(tenant=tenant)
        limits = {ledger.tenant: limits for ledger, limits in found}
        ordered = (Limit("tenant", RUNS, None, most), *limits.get(tenant, ()))
        return [(own, ordered), *((ledger, limits) for ledger, limits in found if ledger != own)]

    def unknown(self, tenant: str, agent: str, run_id: str = "") -> Held | None:
        """Returns why nobody knows the limits now; None where this worker has them from the control plane."""
        held = self.control.holds(Stage.STARTS, Subject(run_id, agent, tenant))
        return held if held is not None and held.incident is None else None
