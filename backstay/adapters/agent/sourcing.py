"""Puts together what is known of an agent's values: registers, and the sources that it accepts."""

from collections.abc import Collection

from backstay.contracts.admission import ToolSpec
from backstay.errors import ConfigurationError
from backstay.kernel.nearest import did_you_mean
from backstay.kernel.origins import CONFIG, DOCUMENT, ROLES, TOOL
from backstay.kernel.registers import Register
from backstay.kernel.sourcing import Sourcing

from .folder import Agent
from .organisation import Organisation
from .registers import load_registers
from .toml_file import line_of, read_text

OWN_REGISTERS = "config:*"


def sourcing_of(agent: Agent, org: Organisation) -> Sourcing:
    """Returns the registers of an agent and of the organisation, and the sources that the agent accepts.

    Raises:
        ConfigurationError: a register cannot be read, or is the organisation's; or an accepted source is not open to
            agents.
    """
    file = agent.folder / "agent.toml"
    own = load_registers(agent.config.registers, file)
    taken = {one.name for one in org.registers}
    for register in own:
        if register.name in taken:
            what, mend = f"the register `{register.name}` is the organisation's", "name it otherwise, or leave it out"
            raise ConfigurationError(what, where=_where(agent, f"registers.{register.name}"), mend=mend)
    doors: dict[str, dict[str, frozenset[str]]] = {}
    for name, accepted in agent.config.sources.accept.items():
        tool = agent.tools.get(name)
        for argument, words in accepted.items():
            problem = _problem(name, argument, tool.spec if tool else None) or next(
                (found for word in words if tool and (found := _closed(word, tool.spec, own, org))), None
            )
            if problem:
                what, mend = problem
                raise ConfigurationError(what, where=_where(agent, f"sources.accept.{name}"), mend=mend)
            doors.setdefault(name, {})[argument] = frozenset(words)
    return Sourcing((*org.registers, *own), doors)


def _problem(name: str, argument: str, tool: ToolSpec | None) -> tuple[str, str] | None:
    """Returns what keeps a line of `accept` from having an effect, and the mend."""
    if tool is None:
        return f"`sources.accept` names `{name}`, which the agent does not list", "is it misspelt?"
    if not any(argument in tool.roles.of(role) for role in ROLES):
        known = [one for role in ROLES for one in tool.roles.of(role)]
        mend = did_you_mean(argument, known) or "say in its `@tool` what the argument is: `targets`, `items` or `texts`"
        return f"`{argument}` of `{name}` has no role, so that nothing is accepted", mend
    return None


def _closed(word: str, tool: ToolSpec, own: Collection[Register], org: Organisation) -> tuple[str, str] | None:
    """Returns why an agent may not accept a source, and the mend; None where it may."""
    listed = ", ".join(f"`{one}`" for one in sorted(org.open)) or "nothing"
    closed = f"`{word}` is not open to agents", f"org.toml opens {listed} under `[sources] open`"
    if word.startswith(CONFIG):
        if word.removeprefix(CONFIG) not in {one.name for one in own}:
            return (
                f"`{word}` is no register of the agent",
                "name one of its `[registers]`: the organisation's are trusted",
            )
        return None if {OWN_REGISTERS, word} & org.open else closed
    if word == DOCUMENT and tool.effect != "read":
        return "`document` may be accepted by tools that only read", "leave it out"
    if word != DOCUMENT and not word.startswith(TOOL):
        return f"`{word}` can never be accepted", "labels and `model` vouch for nothing"
    return None if word in org.open else closed


def _where(agent: Agent, key: str) -> str:
    file = agent.folder / "agent.toml"
    line = line_of(read_text(file), key)
    return f"{file}:{line}" if line else str(file)
