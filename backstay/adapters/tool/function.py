"""A Python function as a tool: its JSON Schema, its argument check, its execution."""

import asyncio
import contextlib
import contextvars
import functools
import hashlib
import inspect
import itertools
import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import rfc8785
from pydantic_core import PydanticSerializationError, to_json

from backstay.contracts.admission import ToolSpec
from backstay.contracts.call import Reconciled
from backstay.contracts.problems import Problem
from backstay.errors import ConfigurationError, OutcomeUnknownError
from backstay.tools import NOT_HAPPENED, Happened, ToolCall
from backstay.tools.declare import ToolOptions, options_of

from .arguments import Arguments, wants_call
from .in_progress import AtWork

MAX_SCHEMA_BYTES = 64_000
MOST_ITEMS = 100_000
"""Of a result that is an iterator: more than the model is shown."""
_AT_WORK = AtWork()
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that can be described, checked and run."""

    spec: ToolSpec
    options: ToolOptions
    function: Callable[..., Any]
    arguments: Arguments
    wants_call: bool

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that its calls may read."""
        return self.options.secrets

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """The arguments as the function's own types, or what does not fit; no value is converted on a guess."""
        return self.arguments.typed(arguments)

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function gets them, in JSON, for rules to read."""
        return self.arguments.held(values)

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments in one spelling, the same for all calls that the function cannot tell apart."""
        return self.arguments.identity(values, given)

    def facts(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the tool's fact functions say of some arguments; what they raise is for the caller."""
        return {
            name: function(**{key: values.get(key) for key in inspect.signature(function).parameters})
            for name, (_, function) in self.options.facts.items()
        }

    async def reconcile(self, call: ToolCall, values: Mapping[str, Any]) -> Reconciled:
        """Asks the tool what became of a call; a tool that has no way to know, or fails at it, cannot tell.

        INVARIANT: it is not asked while the call is still being executed here: what it said could change after that.
        Nobody can tell what becomes of a call that goes on for a minute more.
        """
        function = self.options.reconcile
        if function is None:
            return Reconciled(answer="unknown")
        if not await _AT_WORK.ended(call.idempotency_key, _PATIENCE_SECONDS):
            return Reconciled(answer="unknown")
        if inspect.iscoroutinefunction(function):
            answer = await function(call, **values)
        else:
            answer = await _in_thread(function, call, **values)
        if isinstance(answer, Happened):
            return Reconciled(answer="happened", text=result_text(answer.result))
        return Reconciled(answer="not_happened" if answer is NOT_HAPPENED else "unknown")

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        """Runs the function, one that is not async in a thread, and returns what the model reads of its result.

        Raises:
            OutcomeUnknownError: the call must happen once, and an earlier attempt of it is still being executed here.
        """
        key = call.idempotency_key
        if self.spec.effect == "once" and key in _AT_WORK:
            raise OutcomeUnknownError("the call is still being executed")
        leading = (call,) if self.wants_call else ()
        _AT_WORK.begin(key)
        if not inspect.iscoroutinefunction(inspect.unwrap(self.function)):
            return await _in_thread(_counted_out(key, self.function), *leading, **values)
        try:
            result = await self.function(*leading, **values)
        finally:
            _AT_WORK.end(key)
        return result if type(result) is str else await _in_thread(result_text, result)


def tool_of(name: str, function: Callable[..., Any]) -> Tool:
    """Makes a tool of a marked function.

    Raises:
        ConfigurationError: a parameter has no type hint, or one that cannot be read from JSON; names file and line.
    """
    where = f"{inspect.getsourcefile(function)}:{function.__code__.co_firstlineno}"
    options = options_of(function)
    if options is None:
        raise ConfigurationError(f"`{name}` is not marked", where=where, mend="put `@tool` above it")
    if inspect.isasyncgenfunction(inspect.unwrap(function)):
        raise ConfigurationError(f"`{name}` yields its results one by one", where=where, mend="return a list")
    arguments = Arguments.of(name, function, where)
    _check_facts(name, options, arguments.each, where)
    schema = arguments.schema()
    description = inspect.getdoc(function) or name
    if len(json.dumps(schema)) + len(description) > MAX_SCHEMA_BYTES:
        raise ConfigurationError(f"the schema of `{name}` is larger than {MAX_SCHEMA_BYTES} bytes", where=where)
    described: dict[str, Any] = {"name": name, "parameters": schema, "effect": options.effect}
    if options.dedupe is not None:
        # A run that was admitted with `dedupe` tries `act` again: it must not meet a tool that has none any more.
        described["dedupe"] = options.dedupe
    spec = ToolSpec(
        name=name,
        description=description,
        parameters=schema,
        digest=_digest(described),
        effect=options.effect,
        timeout=options.timeout,
        repeatable=options.repeatable,
        untrusted=options.untrusted,
        cost=options.cost,
        reconciles=options.reconcile is not None,
        dedupe=options.dedupe,
        dedupe_window=options.dedupe_window,
        groups=list(options.groups),
        facts={fact: kind for fact, (kind, _) in options.facts.items()},
    )
    return Tool(spec, options, function, arguments, wants_call(function))


def _check_facts(name: str, options: ToolOptions, parameters: Mapping[str, Any], where: str) -> None:
    for fact, (_, function) in options.facts.items():
        for parameter in inspect.signature(function).parameters:
            if parameter not in parameters:
                mend = f"the arguments of `{name}` are: {', '.join(f'`{known}`' for known in parameters)}"
                raise ConfigurationError(f"the fact `{fact}` of `{name}` names `{parameter}`", where=where, mend=mend)


def result_text(result: Any) -> str:
    """What the model reads of a tool's result: text as it is, anything else as JSON."""
    if isinstance(result, str):
        return str.encode(result, "utf-8", "replace").decode()  # a text of the tool's own kind may say anything else
    if _may_never_end(result):
        result = list(itertools.islice(cast("Iterator[object]", result), MOST_ITEMS))
    try:
        return to_json(result, inf_nan_mode="strings").decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        return f"(the call was executed; its result, a {type(result).__name__}, cannot be written as JSON)"


def _may_never_end(result: object) -> bool:
    """Whether it is an iterator that may be written in C, which nothing interrupts; a generator is not."""
    return isinstance(result, Iterator) and not isinstance(result, Generator)


def _counted_out(key: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, and what the model reads of its result, after which the call is no more at work.

    It ends when its thread does, not when the call does.
    """

    @functools.wraps(function)
    def counted(*args: Any, **values: Any) -> str:
        try:
            result = function(*args, **values)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError("the tool returned something to be awaited, and nothing was done: make it `async def`")
            return result_text(result)
        finally:
            _AT_WORK.end(key)

    return counted


async def _in_thread(function: Callable[..., Any], *args: Any, **values: Any) -> Any:
    """Runs a blocking function in a daemon thread: one that never returns holds up neither its pool nor the exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def finish(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def work() -> None:
        result, failure = None, None
        try:
            result = context.run(function, *args, **values)
        except BaseException as error:
            failure = RuntimeError(f"{type(error).__name__}: {error}") if isinstance(error, StopIteration) else error
        with contextlib.suppress(RuntimeError):  # the loop may be closed by the time the function returns
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=work, daemon=True, name=f"tool-{function.__name__}").start()
    return await done


def _digest(value: Mapping[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(rfc8785.dumps(cast("Any", value))).hexdigest()
