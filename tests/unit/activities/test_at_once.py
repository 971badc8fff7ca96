"""How many runs may go on at once, as the organisation and the control plane say."""

from activities.at_once import AtOnce
from backstay.kernel.control import Incident, InForce, Mode, Told
from backstay.kernel.ledger_sums import RUNS, Limit
from backstay.kernel.scope import Scope

from .fakes import FakeControl
from .ledgers import ORGANISATION, TENANT, FakeAllowances

OWN, ALL = Limit("tenant", RUNS, None, 5), Limit("organisation", RUNS, None, 9)
ORDERED = Limit("tenant", RUNS, None, 3)


def known(*runs: tuple[object, tuple[Limit, ...]], most: int | None = None) -> AtOnce:
    control = FakeControl()
    control.state = control.state.limit("acme", most)
    return AtOnce(FakeAllowances([], list(runs)), control)  # pyright: ignore[reportArgumentType]


def test_where_nobody_sets_a_limit_there_is_none() -> None:
    assert list(known().limits("acme", "clerk")) == []


def test_the_limit_of_the_control_plane_stands_beside_those_of_the_organisation() -> None:
    assert known((TENANT, (OWN,)), (ORGANISATION, (ALL,)), most=3).limits("acme", "clerk") == [
        (TENANT, (ORDERED, OWN)),
        (ORGANISATION, (ALL,)),
    ]


def test_where_the_organisation_limits_all_runs_alone_the_tenants_ledger_is_asked_first() -> None:
    found = known((ORGANISATION, (ALL,)), most=3).limits("acme", "clerk")
    assert found == [(TENANT, (ORDERED,)), (ORGANISATION, (ALL,))]


def test_a_stop_is_known_and_a_control_plane_that_nobody_confirmed_is_not() -> None:
    limits = known()
    assert limits.unknown("acme", "clerk") is None
    stop = Incident("i1", Scope.read("all"), Mode.STOP, Told("olga", "it pays twice", 1))
    assert isinstance(limits.control, FakeControl)
    limits.control.state = InForce(incidents={"i1": stop})
    assert limits.unknown("acme", "clerk") is None
    limits.control.state = InForce(confirmed=False)
    assert limits.unknown("acme", "clerk") is not None
