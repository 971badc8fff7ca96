"""Turns a Python function into a tool: describes it, checks its arguments and runs it."""

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
from .in_progress import CallsInProgress

MAX_SCHEMA_BYTES = 64_000
MOST_ITEMS = 100_000
"""The most items that are read of an iterator; the model is shown fewer."""
_IN_PROGRESS = CallsInProgress()
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A Python function as a tool."""

    spec: ToolSpec
    options: ToolOptions
    function: Callable[..., Any]
    arguments: Arguments
    wants_call: bool

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that its calls may read."""
        return self.options.secrets

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """Returns the arguments in the function's own types, or the problems found; converts no value on a guess."""
        return self.arguments.typed(arguments)

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments in JSON as the function gets them, for rules to read."""
        return self.arguments.held(values)

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments in one canonical form, equal for calls that the function cannot tell apart."""
        return self.arguments.identity(values, given)

    def facts(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Calls the tool's fact functions with the arguments; lets their errors pass to the caller."""
        return {
            name: function(**{key: values.get(key) for key in inspect.signature(function).parameters})
            for name, (_, function) in self.options.facts.items()
        }

    async def reconcile(self, call: ToolCall, values: Mapping[str, Any]) -> Reconciled:
        """Asks the tool whether a call has happened.

        Returns:
            The tool's answer; `unknown` where the tool cannot tell, or the call is still being executed after a minute.
        """
        function = self.options.reconcile
        if function is None:
            return Reconciled(answer="unknown")
        # INVARIANT: the tool is not asked while the call is being executed here, because its answer could still change.
        if not await _IN_PROGRESS.ended(call.idempotency_key, _PATIENCE_SECONDS):
            return Reconciled(answer="unknown")
        if inspect.iscoroutinefunction(function):
            answer = await function(call, **values)
        else:
            answer = await _in_thread(function, call, **values)
        if isinstance(answer, Happened):
            return Reconciled(answer="happened", text=result_text(answer.result))
        return Reconciled(answer="not_happened" if answer is NOT_HAPPENED else "unknown")

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        """Runs the function, in a thread unless it is async, and returns the text of its result for the model.

        Raises:
            OutcomeUnknownError: the call may happen only once, and an earlier attempt is still being executed here.
        """
        key = call.idempotency_key
        if self.spec.effect == "once" and key in _IN_PROGRESS:
            raise OutcomeUnknownError("the call is still being executed")
        leading = (call,) if self.wants_call else ()
        _IN_PROGRESS.begin(key)
        if not inspect.iscoroutinefunction(inspect.unwrap(self.function)):
            return await _in_thread(_ending(key, self.function), *leading, **values)
        try:
            result = await self.function(*leading, **values)
        finally:
            _IN_PROGRESS.end(key)
        return result if type(result) is str else await _in_thread(result_text, result)


def tool_of(name: str, function: Callable[..., Any]) -> Tool:
    """Makes a tool from a function marked with `@tool`.

    Raises:
        ConfigurationError: the function cannot be a tool, for example without type hints; names file and line.
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
        # Part of the digest: a run admitted with `dedupe` must not retry a call on a deployed tool that lost it.
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
    """Returns the text of a tool's result for the model: text unchanged, any other value as JSON."""
    if isinstance(result, str):
        # `str.encode` and not the result's own: a subclass of `str` may override it.
        return str.encode(result, "utf-8", "replace").decode()
    if _may_never_end(result):
        result = list(itertools.islice(cast("Iterator[object]", result), MOST_ITEMS))
    try:
        return to_json(result, inf_nan_mode="strings").decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        return f"(the call was executed; its result, a {type(result).__name__}, cannot be written as JSON)"


def _may_never_end(result: object) -> bool:
    """Tells whether a result is an iterator other than a generator; one written in C cannot be interrupted."""
    return isinstance(result, Iterator) and not isinstance(result, Generator)


def _ending(key: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function to return its result's text and mark the call as finished.

    The mark is set when the thread ends, which may be long after the call was cancelled.
    """

    @functools.wraps(function)
    def run(*args: Any, **values: Any) -> str:
        try:
            result = function(*args, **values)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError("the tool returned something to be awaited, and nothing was done: make it `async def`")
            return result_text(result)
        finally:
            _IN_PROGRESS.end(key)

    return run


async def _in_thread(function: Callable[..., Any], *args: Any, **values: Any) -> Any:
    """Runs a blocking function in a daemon thread, so that an endless one blocks neither a pool nor the exit."""
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
        with contextlib.suppress(RuntimeError):  # the loop may have closed before the function returned
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=work, daemon=True, name=f"tool-{function.__name__}").start()
    return await done


def _digest(value: Mapping[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(rfc8785.dumps(cast("Any", value))).hexdigest()
