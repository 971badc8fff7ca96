"""Reads an agent's folder, imports its tools, and checks everything before a worker starts."""

import hashlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from backstay.errors import ConfigurationError, MissingExtraError
from backstay.kernel.nearest import did_you_mean
from backstay.tools.call import no_secret
from backstay.tools.declare import options_of

from ..tool.function import Tool, tool_of
from ..tool.loop import ToolLoop
from ..tool.placed import PlacedTool
from .config import AgentConfig, read_config
from .mcp_tools import NO_SERVERS, McpTools, listed_names, mcp_tools
from .ready import check_distinct, ready_tools
from .times import check_times
from .toml_file import line_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent ready to run.

    Attributes:
        tools: the listed tools by name, in the order of the list.
        version: a digest of every file in the folder.
        loop: runs the agent's async tools.
        mcp: its MCP servers, and what is to be said of their tools.
    """

    name: str
    folder: Path
    config: AgentConfig
    tools: Mapping[str, PlacedTool]
    version: str
    loop: ToolLoop
    mcp: McpTools = NO_SERVERS

    async def close(self) -> None:
        """Ends what runs for its tools: their loop, and the connections to servers."""
        self.loop.close()
        if self.mcp.servers is not None:
            await self.mcp.servers.close()


def load_agents(roots: Sequence[Path], read: Callable[[str], str] = no_secret) -> dict[str, Agent]:
    """Reads every agent in the given folders.

    Args:
        roots: the folders.
        read: reads the secrets that MCP servers are given, which are asked for their tools.

    Returns:
        The agents by name; where two folders hold the same name, the first wins.

    Raises:
        ConfigurationError: a folder is missing, or one of its agents cannot be used.
    """
    agents: dict[str, Agent] = {}
    for root in roots:
        if not root.is_dir():
            raise ConfigurationError("no such folder of agents", where=str(root), mend="see `BACKSTAY_AGENTS`")
        for file in sorted(root.glob("*/agent.toml")):
            if file.parent.name not in agents:
                agents[file.parent.name] = load_agent(file.parent, read)
    return agents


def load_agent(folder: Path, read: Callable[[str], str] = no_secret) -> Agent:
    """Reads one agent's folder.

    Args:
        folder: the folder.
        read: reads the secrets that MCP servers are given, which are asked for their tools.

    Raises:
        ConfigurationError: the agent cannot be used; names the file, the line where known, and the remedy.
    """
    check_name(folder.name, where=str(folder))
    config = read_config(folder / "agent.toml")
    check_times(config, folder / "agent.toml", config.budget.seconds)
    loop = ToolLoop(folder.name)
    own = _tools_of(folder, loop)
    made = {**own, **ready_tools(folder, config, loop)}
    mcp = mcp_tools(folder, config, {tool.spec.name for tool in made.values()}, read)
    known: dict[str, PlacedTool] = {**made, **mcp.tools}
    listed = list(own) if config.tools is None else listed_names(config.tools, known)
    for name in listed:
        if name not in known:
            raise _missing(folder, name, own)
    check_distinct(folder, listed, known)
    tools = {known[name].spec.name: known[name] for name in listed}
    for name in config.budget.tools:
        if name not in tools:
            raise _limits_nothing(folder, name, tools)
    return Agent(folder.name, folder.resolve(), config, tools, version_of(folder), loop, mcp)


def check_name(name: str, where: str | None = None) -> None:
    """Checks that a folder's name can name an agent.

    Raises:
        ConfigurationError: the name is too long or holds a character that is not allowed.
    """
    if not _NAME.fullmatch(name):
        mend = "use letters, digits, `.`, `_` and `-`, at most 80, a letter or digit first"
        raise ConfigurationError("the folder's name cannot name an agent", where=where, mend=mend)


def _missing(folder: Path, name: str, defined: Iterable[str]) -> ConfigurationError:
    file = folder / "agent.toml"
    line = line_of(file.read_text("utf-8"), "tools")
    known = ", ".join(f"`{tool}`" for tool in defined) or "none"
    meant = did_you_mean(name, defined)
    mend = f"{f'{meant} ' if meant else ''}the functions marked `@tool` in tools.py are: {known}"
    return ConfigurationError(f"`{name}` is listed in `tools` and defined nowhere", where=f"{file}:{line}", mend=mend)


def _limits_nothing(folder: Path, name: str, listed: Iterable[str]) -> ConfigurationError:
    file = folder / "agent.toml"
    line = line_of(file.read_text("utf-8"), f"budget.tools.{name}")
    known = ", ".join(f"`{tool}`" for tool in listed) or "none"
    meant = did_you_mean(name, listed)
    mend = f"{f'{meant} ' if meant else ''}its tools are: {known}"
    return ConfigurationError(f"`budget.tools.{name}` limits no tool of the agent", where=f"{file}:{line}", mend=mend)


def _tools_of(folder: Path, loop: ToolLoop) -> dict[str, Tool]:
    if not (folder / "tools.py").is_file():
        return {}
    module = _imported(folder)
    marked = {name: thing for name, thing in vars(module).items() if options_of(thing) and inspect.isfunction(thing)}
    return {name: tool_of(name, function, loop) for name, function in marked.items()}


def _imported(folder: Path) -> ModuleType:
    """Imports `tools.py` inside a package of its own, so that agents may use the same file names."""
    path = str(folder.resolve())
    package = f"backstay_agent_{re.sub(r'[^A-Za-z0-9]', '_', folder.name)}_{_sha(path.encode())[:8]}"
    for loaded in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[loaded]
    init = folder / "__init__.py"
    parent = ModuleType(package)
    parent.__path__ = [path]
    sys.modules[package] = parent
    importlib.invalidate_caches()
    try:
        if init.is_file():
            _execute(package, init)
        return _execute(f"{package}.tools", folder / "tools.py")
    except ConfigurationError as error:
        if error.where or isinstance(error, MissingExtraError):
            raise
        # What `@tool` refuses knows no place: it stands where it was called.
        raise ConfigurationError(error.what, where=_location(error, folder), mend=error.mend) from None
    except Exception as error:
        raise ConfigurationError(
            f"cannot be imported: {type(error).__name__}: {error}", where=_location(error, folder)
        ) from None


def _execute(name: str, file: Path) -> ModuleType:
    search = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _location(error: Exception, folder: Path) -> str:
    """Returns `file:line` for an import error: the deepest frame inside the folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    inside = [frame for frame in traceback.extract_tb(error.__traceback__) if str(folder.resolve()) in frame.filename]
    return f"{inside[-1].filename}:{inside[-1].lineno}" if inside else str(folder / "tools.py")


def version_of(folder: Path) -> str:
    """Digests every file but hidden ones and bytecode, so that any change to an agent shows in its version."""
    return _digest_of(folder, but=())


def tools_version(folder: Path) -> str:
    """Digests every file that the tools of an agent may depend on: all but its settings, its rules and their cases."""
    return _digest_of(folder, but=("agent.toml", "policy.cedar", "cases.toml"))


def _digest_of(folder: Path, but: Collection[str]) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        relative = file.relative_to(folder)
        hidden = any(part.startswith((".", "__pycache__")) for part in relative.parts)
        if file.is_file() and not hidden and file.suffix != ".pyc" and relative.as_posix() not in but:
            digest.update(f"{relative.as_posix()}\0{_sha(file.read_bytes())}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
