"""Serves an application: builds its workers, and keeps its rules current and its output clean while they work."""

import asyncio
import contextlib
import gc
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import Any, Unpack

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Interceptor, Worker, WorkerConfig, WorkerDeploymentConfig

from backstay import ports
from backstay.adapters.agent.served_queues import ServedQueues
from backstay.adapters.archive.store import archive_of
from backstay.adapters.engine.alarms import Alarms
from backstay.adapters.engine.attempts import Attempts
from backstay.adapters.engine.breakers import BreakerReports
from backstay.adapters.engine.control import ControlCopy
from backstay.adapters.engine.effects import Effects
from backstay.adapters.engine.evidence import Evidence
from backstay.adapters.engine.grants import Grants
from backstay.adapters.engine.history import RunHistory
from backstay.adapters.engine.ledger_runs import LedgerRuns
from backstay.adapters.engine.ledgers import Ledgers
from backstay.adapters.engine.orders import Orders
from backstay.adapters.engine.pollers import check_same_fleet, marked
from backstay.adapters.engine.rates import Rates
from backstay.adapters.engine.scoped_runs import ScopedRuns
from backstay.adapters.engine.search_attributes import Registration, register
from backstay.adapters.engine.starts import Starts
from backstay.adapters.engine.task_queues import TaskQueues
from backstay.adapters.payload.converter import for_worker
from backstay.adapters.payload.refusing import Refusing
from backstay.adapters.secret.fleet import fingerprint, fleet_key
from backstay.adapters.secret.scrubber import scrubbed_logs, scrubbed_output
from backstay.adapters.tool.function import running_calls
from backstay.adapters.tool.watchdog import watching_once_it_moves
from backstay.app import folders
from backstay.app.application import Application, policy_folders
from backstay.app.health import Health, answering
from backstay.app.model_queues import model_queues
from backstay.app.pins import pin_tools
from backstay.app.rules import keep_current
from backstay.app.slots import with_slots
from backstay.app.workflows import of_runs, sandbox, shared
from backstay.contracts import names
from backstay.telemetry.content import scrubbed_content
from backstay.telemetry.setup import flush, worker_plugins

_LEFT_SECONDS = 5.0
_SILENT_SECONDS = 1.5
_LOOK_SECONDS = 0.25
_TAKEN_OVER = timedelta(seconds=2)
"""The time that the workflows of a dead worker wait for it before another worker takes them over."""
_SETUP = "run `backstay setup` as somebody who may add them"

Say = Callable[[str], None]
"""Tells a person one line."""


async def prepare(app: Application, client: Client, say: Say) -> None:
    """Checks what the server must have, and adds search attributes that it lacks, unless we run without them.

    Raises:
        ConfigurationError: an attribute has another type, or the server does not let us add it; or another worker of
            the queue holds another fleet key.
        UnreachableError: the server does not answer.
    """
    if app.settings.search_attributes:
        done = await register(client, mend=_SETUP)
        if added := [name for name, outcome in done.items() if outcome is Registration.ADDED]:
            say(f"added search attributes: {', '.join(added)}")
    pin_tools(app, say)
    if app.shares_effects():
        queue = names.effects_queue(app.settings.task_queue)
        await check_same_fleet(client, queue, fingerprint(fleet_key(app.settings)))


def ready_line(app: Application, client: Client) -> str:
    """Returns what a worker says once it serves."""
    agents = ", ".join(sorted(app.catalog.agents))
    address = client.service_client.config.target_host
    return f"worker ready: agents {agents} on task queue {app.settings.task_queue} at {address}"


async def serve(
    app: Application,
    client: Client,
    stop: asyncio.Event,
    ready: Callable[[], None],
    say: Say,
    *,
    idle_seconds: float | None = None,
) -> None:
    """Serves until `stop` is set, then lets running activities finish, and leaves behind those that do not end.

    Args:
        app: what is served.
        client: the connection to Temporal.
        stop: set it to end.
        ready: called once the worker takes work.
        say: tells a person how it ends.
        idle_seconds: after this time, waits for calls of tools only; default: for every activity.

    Raises:
        RuntimeError: the worker cannot go on.
    """
    work = asyncio.create_task(_serve(app, client, stop, ready, say))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if await _ended(work, app.settings.shutdown_seconds + _LEFT_SECONDS, idle_seconds, say):
        await work
    else:
        say("an activity does not end: it is left behind, and its run goes on with another worker")


async def _ended(work: asyncio.Task[None], limit: float, idle_seconds: float | None, say: Say) -> bool:
    """Waits for the end of a worker that was told to stop, and names the calls that keep it from ending."""
    first = min(limit, _SILENT_SECONDS if idle_seconds is None else idle_seconds)
    done, _ = await asyncio.wait((work,), timeout=first)
    busy = running_calls()
    if not done and busy:
        say(f"waiting up to {limit - first:.0f} s for {', '.join(busy)}; a second Ctrl-C ends it at once")
    waited = first
    while not done and waited < limit and (idle_seconds is None or running_calls()):
        done, _ = await asyncio.wait((work,), timeout=_LOOK_SECONDS)
        waited += _LOOK_SECONDS
    return bool(done)


async def _serve(app: Application, client: Client, stop: asyncio.Event, ready: Callable[[], None], say: Say) -> None:
    async with serving(app, client):
        # A full collection holds up every thread, and Temporal fails a workflow task that takes two seconds: what was
        # loaded by now stays for good, and is never looked at again.
        gc.collect()
        gc.freeze()
        ready()
        await stop.wait()
        say("stopping: no new work; running activities are given time to finish")


@contextlib.asynccontextmanager
async def serving(app: Application, client: Client, /, **options: Unpack[WorkerConfig]) -> AsyncGenerator[Worker]:
    """Serves runs until the context ends; running activities then get time to finish.

    While it serves, whatever the process logs, prints or puts into traces is freed of the secrets of tools.

    Args:
        app: what is served.
        client: the connection to Temporal.
        options: of the worker of runs, in place of our own.

    Yields:
        the worker of runs.
    """
    scrubber = app.secrets.scrubber
    with scrubbed_logs(scrubber), scrubbed_output(scrubber), scrubbed_content(scrubber.text):
        try:
            await _load_prices(app)
            control = ControlCopy(client)
            reports = BreakerReports(client, app.breakers, app.settings.task_queue)
            health = Health(lambda: control.trouble, running_calls)
            together = workers(app, client, control, reports, _reporting(reports, options))
            async with (
                answering(app.settings.health, health),
                control.kept(),
                reports.kept(),
                health.logged(),
                serving_together(together) as worker,
                _watching(app),
                watching_once_it_moves("the worker's loop"),
                health.working(together),
            ):
                yield worker
        finally:
            await app.catalog.close()
            await asyncio.to_thread(flush)


async def _load_prices(app: Application) -> None:
    """Loads the list of prices, which is long, beside the loop: the first run would hold up all others with it."""
    for agent in app.catalog.agents.values():
        await asyncio.to_thread(app.catalog.model_spec, agent)


@contextlib.asynccontextmanager
async def serving_together(together: Sequence[Worker]) -> AsyncGenerator[Worker]:
    """Lets workers serve until the context ends, and stops them side by side; yields the first."""
    async with contextlib.AsyncExitStack() as stack:
        for worker in together:
            await stack.enter_async_context(worker)
        try:
            yield together[0]
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in together))


def _reporting(reports: ports.BreakerReports, options: WorkerConfig) -> WorkerConfig:
    """Returns the options of the worker of runs, which tells breakers what ends."""
    others = options["interceptors"] if "interceptors" in options else _interceptors()
    return {**options, "interceptors": [*others, folders.reporting.Reporting(reports.tell)]}


@contextlib.asynccontextmanager
async def _watching(app: Application) -> AsyncGenerator[None]:
    """Puts changed rules in force until the context ends."""
    watch = asyncio.create_task(keep_current(app.gate, app.catalog.kept, policy_folders(app.settings)))
    try:
        yield
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


def workers(
    app: Application, client: Client, control: ports.Control, reports: ports.BreakerReports, options: WorkerConfig
) -> list[Worker]:
    """Builds the workers of runs, of shared effects if a tool has any, of each provider's account, and of control.

    A call that waits for a shared effect takes up a slot of its worker. The effect runs in a slot of another worker,
    because otherwise calls that wait could fill all slots and no effect would ever run.

    Args:
        app: what is served.
        client: the connection to Temporal.
        control: what is in force over all runs.
        reports: where breakers are told of alarms.
        options: of the worker of runs, in place of our own.
    """
    shared = app.shares_effects()
    key = fleet_key(app.settings) if shared else b""
    activities, perform, queued = _activities(app, client, control, reports, key)
    runs: WorkerConfig = {
        "workflows": of_runs(),
        "activities": activities,
        "workflow_runner": sandbox(placed=client.data_converter.payload_codec is not None),
        "sticky_queue_schedule_to_start_timeout": _TAKEN_OVER,
        "max_cached_workflows": app.settings.cached_runs,
        **options,
    }
    queue = app.settings.task_queue
    own: list[WorkerConfig] = [{"task_queue": queue, **runs}]
    if shared:
        identity = marked(client.identity, fingerprint(key))
        own.append({"task_queue": names.effects_queue(queue), "activities": [perform], "identity": identity})
    # Control keeps its fixed slots: a machine that is full must obey a stop all the same.
    beside: list[WorkerConfig] = [
        {**one, "deployment_config": _beside_others()}
        for one in (*with_slots(queued, app.settings.slots), _control(app, client))
    ]
    return [_worker(app, client, one) for one in (*with_slots(own, app.settings.slots), *beside)]


def _beside_others() -> WorkerDeploymentConfig:
    """Tells a worker apart from others that serve the same queue through the same client, which the SDK else refuses.

    No versioning follows from it: any of them takes any task.
    """
    version = WorkerDeploymentVersion(deployment_name="backstay", build_id=uuid.uuid4().hex)
    return WorkerDeploymentConfig(version=version, use_worker_versioning=False)


def _control(app: Application, client: Client) -> WorkerConfig:
    """Returns what serves the control plane, breakers, ledgers, grants and rates: a queue that all fleets share."""
    allowances: ports.Allowances = app.limits
    runs: ports.LedgerRuns = LedgerRuns(client)
    rates: ports.Rates = Rates(client)
    scoped: ports.ScopedRuns = ScopedRuns(client)
    orders: ports.Orders = Orders(client)
    sweep, pace = folders.sweep.Sweep(allowances, runs), folders.pace.Pace(rates)
    incidents = folders.incident.Incidents(scoped)
    trips = folders.trip.Trips(orders)
    queues: ports.TaskQueues = TaskQueues(client, (app.settings.task_queue, *app.settings.account_queues))
    engine = folders.hold_queues.HoldQueues(queues, orders)
    return {
        "task_queue": names.CONTROL_QUEUE,
        "workflows": shared(),
        "activities": [
            *(sweep.sweep, sweep.restore, pace.pace, pace.paced),
            *(incidents.find, incidents.tell, incidents.account, incidents.order),
            *(trips.trip, trips.lifted, engine.find, engine.hold),
        ],
        "workflow_runner": sandbox(placed=client.data_converter.payload_codec is not None),
        "sticky_queue_schedule_to_start_timeout": _TAKEN_OVER,
    }


def _interceptors() -> list[Interceptor]:
    return [folders.elsewhere.Elsewhere(), folders.page_on_request.PageOnRequest(), Refusing()]


def _worker(app: Application, client: Client, options: WorkerConfig) -> Worker:
    client = _converting(app, client)
    given: WorkerConfig = {
        "client": client,
        "plugins": worker_plugins(client),
        "interceptors": _interceptors(),
        # A running activity learns of a kill with the answer to a heartbeat: send them often.
        "max_heartbeat_throttle_interval": timedelta(milliseconds=250),
        "default_heartbeat_throttle_interval": timedelta(milliseconds=250),
        "graceful_shutdown_timeout": timedelta(seconds=app.settings.shutdown_seconds),
        **options,
    }
    return Worker(**given)


def _converting(app: Application, client: Client) -> Client:
    """Returns the connection with the payloads of a worker."""
    config = client.config()
    config["data_converter"] = for_worker(client.data_converter, strict=app.settings.codec_strict)
    return Client(**config)


Activity = Callable[..., Any]


def _activities(
    app: Application, client: Client, control: ports.Control, reports: ports.BreakerReports, key: bytes
) -> tuple[list[Activity], Activity, list[WorkerConfig]]:
    """Binds each adapter to its port, and returns the activities of runs, of shared effects and of accounts' queues."""
    catalog: ports.Catalog = app.catalog
    models: ports.Models = app.catalog
    gate: ports.Gate = app.gate
    secrets: ports.Secrets = app.secrets
    notifier: ports.Notifier = app.webhooks
    proofs: ports.Proofs = app.proofs
    starts: ports.Starts = Starts(client, app.settings.task_queue)
    history: ports.History = RunHistory(client, app.settings.task_queue)
    effects: ports.Effects = Effects(client)
    alarms: ports.Alarms = Alarms(client)
    attempts: ports.Attempts = Attempts(client)
    allowances: ports.Allowances = app.limits
    ledgers: ports.Ledgers = Ledgers(client, app.limits.spans)
    grants: ports.Grants = Grants(client)
    evidence: ports.Evidence = Evidence(client)
    archive: ports.Archive | None = archive_of(app.settings, client)
    runs_of_ledgers: ports.LedgerRuns = LedgerRuns(client)

    reviewer = folders.review.Reviewer(
        catalog, gate, control, client.service_client.config.target_host.rpartition(":")[0]
    )
    conversations = folders.conversation.Conversations(history, app.settings.conversation_cache_mb * 1_000_000)
    effect_ids = folders.claim.EffectIds(key)
    preparer = folders.prepare.Preparer(conversations, reviewer, secrets, control, reports)
    authorize = folders.authorize.Authorize(conversations, reviewer)
    asking = folders.decide.Asking(conversations, models, control, folders.verdicts.EarlyJudge(authorize))
    at_once = folders.at_once.AtOnce(allowances, control)
    holds = folders.hold.Holds(ledgers, notifier)
    standing = folders.grants.Grants(conversations, grants)
    served: ports.Served = ServedQueues(app.catalog, app.settings.task_queue)
    decide = folders.decide.Decide(asking, alarms)
    runs: list[Activity] = [
        folders.admit.Admit(catalog, gate, at_once, proofs, starts).admit,
        folders.enqueue.Enqueue(conversations, at_once, ledgers).enqueue,
        folders.look.Look(at_once, runs_of_ledgers).look,
        decide.decide,
        folders.compact.Compact(decide).compact,
        authorize.authorize,
        folders.notify.Notify(conversations, notifier).notify,
        folders.verify.Verify(proofs).verify,
        folders.delegate.Delegate(starts).delegate,
        folders.archive.Archive(conversations, evidence, archive).archive,
        folders.recall.Recall(conversations).recall,
        folders.act.Act(preparer, effects, effect_ids, history, attempts).act,
        folders.reconcile.Reconcile(preparer).reconcile,
        folders.reserve.Reserve(conversations, allowances, holds).reserve,
        folders.meter.Meter(conversations, reviewer, allowances, holds).meter,
        folders.announce.Announce(notifier).announce,
        folders.serves.Serves(served).serves,
        standing.give,
        standing.use,
    ]
    queued = model_queues(app, client, asking, alarms)
    return runs, folders.perform.Perform(preparer, effect_ids, history).perform, queued
