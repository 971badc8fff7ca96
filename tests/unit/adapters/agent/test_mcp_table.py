"""A table `[mcp.NAME]` is read, or refused with the line and the mend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.config import AgentConfig, read_config
from backstay.errors import ConfigurationError

Write = Callable[..., Path]


def read(agent_folder: Write, toml: str) -> AgentConfig:
    return read_config(agent_folder(toml=toml) / "clerk" / "agent.toml")


def test_a_table_has_a_default_for_everything_but_the_server(agent_folder: Write) -> None:
    table = read(agent_folder, '[mcp.files]\ncommand = ["files", "/srv"]\n').mcp["files"]
    assert (table.command, table.url, table.timeout, table.trusted) == (["files", "/srv"], None, "60s", False)
    assert (table.scope, table.era, table.secrets()) == ("tenant", "auto", ())


def test_the_table_of_the_contract_is_read(agent_folder: Write) -> None:
    toml = """
[mcp.files]
command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv/files"]
effect = { "read_*" = "read", "list_*" = "read", "*" = "once" }
timeout = "60s"
env = { TOKEN = "secret:FILES_TOKEN", MODE = "fast" }
clean = { "list_*" = ["name"] }
labels = { "read_*" = { private = true, pii = ["owner.mail"] } }
roles = { "write_*" = { items = ["path"], texts = ["content"] } }
"""
    table = read(agent_folder, toml).mcp["files"]
    assert table.effect == {"read_*": "read", "list_*": "read", "*": "once"}
    assert table.secrets() == ("FILES_TOKEN",)
    assert table.roles["write_*"].roles().items == ("path",)


def test_a_server_at_an_address_gets_headers(agent_folder: Write) -> None:
    toml = '[mcp.far]\nurl = "https://x.example/mcp"\nheaders = { Authorization = "secret:FAR_TOKEN" }\n'
    assert read(agent_folder, toml).mcp["far"].secrets() == ("FAR_TOKEN",)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "either a `command` or a `url`"),
        ('command = ["a"]\nurl = "https://x.example"', "either a `command` or a `url`"),
        ("command = []", "expected a program"),
        ('command = [" "]', "expected a program"),
        ('command = ["a\\u0000"]', "NUL"),
        ('url = "ftp://x.example"', "begins with https://"),
        ('url = "https://"', "begins with https://"),
        ('url = "https://x.example/ y"', "begins with https://"),
        ('url = "https://x.example:99999/"', "begins with https://"),
        ('url = "https://x.example"\nenv = { A = "b" }', "`env` goes with a `command`"),
        ('command = ["a"]\nheaders = { A = "b" }', "`headers` go with a `url`"),
        ('url = "http://x.example"\nheaders = { A = "b" }', "plain text"),
        ('url = "https://x.example"\nheaders = { "A B" = "b" }', "no name of a header"),
        (
            'command = ["a"]\neffect = { "*" = "sometimes" }',
            "'read', 'write' or 'once'",
        ),
        ('command = ["a"]\ntimeout = "soon"', "no duration"),
        ('command = ["a"]\ntrusted = true\nclean = { "*" = ["id"] }', "`clean` excepts"),
        ('command = ["a"]\nscope = "planet"', "'tenant', 'run' or 'worker'"),
        ('command = ["a"]\neffects = { }', "unknown"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(agent_folder: Write, lines: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        read(agent_folder, f"[mcp.files]\n{lines}\n")
    assert "agent.toml:" in str(refused.value)


@pytest.mark.parametrize("name", ["a.b", "a b", "x" * 41, "a/b"])
def test_a_server_has_a_plain_name(agent_folder: Write, name: str) -> None:
    with pytest.raises(ConfigurationError):
        read(agent_folder, f'[mcp."{name}"]\ncommand = ["a"]\n')


def test_plain_text_on_this_machine_is_read_by_nobody(agent_folder: Write) -> None:
    toml = '[mcp.near]\nurl = "http://127.0.0.1:9/mcp"\nheaders = { A = "secret:TOKEN" }\n'
    assert read(agent_folder, toml).mcp["near"].url == "http://127.0.0.1:9/mcp"
