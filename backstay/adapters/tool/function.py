"""Turns a Python function into a tool: describes it, checks its arguments and runs it."""

import asyncio
import contextlib
import contextvars
import functools
import hashlib
import inspect
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import rfc8785

from backstay.contracts.admission import ToolSpec
from backstay.contracts.call import Reconciled
from backstay.contracts.problems import Problem
from backstay.errors import ConfigurationError, OutcomeUnknownError
from backstay.kernel.origins import ROLES
from backstay.tools import NOT_HAPPENED, Happened, ToolCall
from backstay.tools.declare import ToolOptions, options_of

from .accepted import accepted, check_name
from .arguments import Arguments, wants_call
from .in_progress import CallsInProgress
from .loop import ToolLoop
from .result import result_text
from .watchdog import name_of

MAX_SCHEMA_BYTES = 64_000
_IN_PROGRESS = CallsInProgress()


def running_calls() -> list[str]:
    """Names the calls of tools that this process is executing."""
    return _IN_PROGRESS.names()


_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A Python function as a tool."""

    spec: ToolSpec
    options: ToolOptions
    function: Callable[..., Any]
    arguments: Arguments
    wants_call: bool
    loop: ToolLoop

    @property
    def where(self) -> str:
        """The file and line of the function, for errors."""
        return _place(self.function)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that its calls may read."""
        return self.options.secrets

    @property
    def plain(self) -> bool:
        """True where all arguments are plain JSON values, so that no code of the agent's own reads them."""
        return self.arguments.plain

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """Returns the arguments in the function's own types, or the problems found; converts no value on a guess."""
        return self.arguments.typed(arguments)

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments in JSON as the function gets them, for rules to read."""
        return self.arguments.held(values)

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments in one canonical form, equal for calls that the function cannot tell apart."""
        return self.arguments.identity(values, given)

    def facts(self, values: Mapping[str, Any], wanted: Callable[[str], bool]) -> dict[str, Any]:
        """Calls the wanted fact functions with the arguments; lets their errors pass to the caller."""
        return {
            name: function(**{key: values.get(key) for key in inspect.signature(function).parameters})
            for name, (_, function) in self.options.facts.items()
            if wanted(name)
        }

    def exposure(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Calls the function of each meter with the arguments, defaults included; lets their errors pass."""
        parameters = inspect.signature(self.function).parameters
        filled = {key: values.get(key, parameters[key].default) for key in self.arguments.each}
        return {
            name: function(**{key: filled[key] for key in inspect.signature(function).parameters})
            for name, function in self.options.exposure.items()
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
            answer = await self.loop.run(name_of(self.spec.name, call), lambda: function(call, **values))
        else:
            answer = await _in_thread(function, call, **values)
        if isinstance(answer, Happened):
            return Reconciled(answer="happened", text=result_text(answer.result))
        return Reconciled(answer="not_happened" if answer is NOT_HAPPENED else "unknown")

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        """Runs the function, in its agent's loop or in a thread, and returns the text of its result for the model.

        Raises:
            OutcomeUnknownError: the call may happen only once, and an earlier attempt is still being executed here.
        """
        key = call.idempotency_key
        if self.spec.effect == "once" and key in _IN_PROGRESS:
            raise OutcomeUnknownError("the call is still being executed")
        leading = (call,) if self.wants_call else ()
        _IN_PROGRESS.begin(key, name_of(self.spec.name, call))
        if not inspect.iscoroutinefunction(inspect.unwrap(self.function)):
            return await _in_thread(_ending(key, self.function), *leading, **values)
        try:
            start = functools.partial(self.function, *leading, **values)
            result = await self.loop.run(name_of(self.spec.name, call), start)
        finally:
            _IN_PROGRESS.end(key)
        return result_text(result) if type(result) is str else await _in_thread(result_text, result)


def tool_of(name: str, function: Callable[..., Any], loop: ToolLoop | None = None) -> Tool:
    """Makes a tool from a function marked with `@tool`.

    Args:
        name: the tool's name.
        function: the function.
        loop: runs the function where it is async, with the other tools of its agent; default: one of its own.

    Raises:
        ConfigurationError: the function cannot be a tool, for example without type hints, or model servers would
            refuse it; names file and line.
    """
    where = _place(function)
    options = options_of(function)
    if options is None:
        raise ConfigurationError(f"`{name}` is not marked", where=where, mend="put `@tool` above it")
    if inspect.isasyncgenfunction(inspect.unwrap(function)):
        raise ConfigurationError(f"`{name}` yields its results one by one", where=where, mend="return a list")
    check_name(name, where)
    arguments = Arguments.of(name, function, where)
    _check_named("fact", {fact: function for fact, (_, function) in options.facts.items()}, name, arguments.each, where)
    _check_named("exposure", options.exposure, name, arguments.each, where)
    _check_roles(options, name, [argument.name for argument in arguments.each.values()], where)
    schema = accepted(name, arguments.schema(), where)
    description = inspect.getdoc(function) or name
    if len(json.dumps(schema)) + len(description) > MAX_SCHEMA_BYTES:
        raise ConfigurationError(f"the schema of `{name}` is larger than {MAX_SCHEMA_BYTES} bytes", where=where)
    described: dict[str, Any] = {"name": name, "parameters": schema, "effect": options.effect}
    if options.dedupe is not None:
        # Part of the digest: a run admitted with `dedupe` must not retry a call on a deployed tool that lost it.
        described["dedupe"] = options.dedupe
    if options.exposure:
        # Likewise: what a run counts must not be made by a deployed tool that counts it no more.
        described["exposure"] = sorted(options.exposure)
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
        exposure=list(options.exposure),
        marks=options.marks,
        roles=options.roles,
    )
    return Tool(spec, options, function, arguments, wants_call(function), loop or ToolLoop())


def _place(function: Callable[..., Any]) -> str:
    return f"{inspect.getsourcefile(function)}:{function.__code__.co_firstlineno}"


def _check_named(
    kind: str, functions: Mapping[str, Callable[..., Any]], tool: str, known: Mapping[str, Any], where: str
) -> None:
    """Checks that functions of the arguments name no other parameters.

    Raises:
        ConfigurationError: one does.
    """
    for name, function in functions.items():
        for parameter in inspect.signature(function).parameters:
            if parameter not in known:
                mend = f"the arguments of `{tool}` are: {', '.join(f'`{argument}`' for argument in known)}"
                raise ConfigurationError(f"the {kind} `{name}` of `{tool}` names `{parameter}`", where=where, mend=mend)


def _check_roles(options: ToolOptions, tool: str, known: Sequence[str], where: str) -> None:
    """Checks that roles are those of arguments, and that an argument has one role at most.

    Raises:
        ConfigurationError: a role names no argument, or two name the same one.
    """
    roles, named = options.roles, options.marks.names_result
    listed = [(role, name) for role in ROLES for name in roles.of(role)]
    for role, name in [*listed, *([("names_result", named)] if named else [])]:
        if name not in known:
            mend = f"the arguments of `{tool}` are: {', '.join(f'`{argument}`' for argument in known)}"
            raise ConfigurationError(f"`{role}` of `{tool}` names `{name}`", where=where, mend=mend)
    for name in known:
        if len(taken := [role for role, one in listed if one == name]) > 1:
            what = f"`{name}` of `{tool}` stands in {' and '.join(f'`{role}`' for role in taken)}"
            raise ConfigurationError(what, where=where, mend="an argument has one role: the stricter one")


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
