"""The fenced blocks of the README and the documentation, and what each is to a test.

A block is run in the order of its page:

- `sh` is run line by line; `# exit code 3` behind a command says how it ends, else it must end well;
- `text` right behind `sh` is what that prints, in this order; `…` stands for anything;
- a block with a first line such as `# agents/shop/agent.toml` is written to that file, `# add to FILE` to its end.

Any other block is named by `<!-- not run: REASON -->` above it; `tests/docs/named.py` lists the reasons, and what is
checked instead.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "docs" / "reference"
FENCE = re.compile(r"^ *```(.*)$")
NAMED = re.compile(r"^ *<!-- not run: (.+?) -->$")
FILE = re.compile(r"^(?:#|//) (?P<add>add to )?(?P<path>[\w.-]+(?:/[\w.-]+)*\.\w+)(?:: .*)?$")


class Kind(Enum):
    """Names what a test does with a block."""

    COMMANDS = "commands"
    OUTPUT = "output"
    FILE = "file"
    NAMED = "named"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `reason` is that of the comment above it, `behind` the language of the block before."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None
    behind: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> re.Match[str] | None:
        return FILE.match(self.text.split("\n", 1)[0])

    @property
    def kind(self) -> Kind:
        if self.reason is not None:
            return Kind.NAMED
        if self.language == "sh":
            return Kind.COMMANDS
        if self.language == "text":
            return Kind.OUTPUT if self.behind == "sh" else Kind.FORGOTTEN
        return Kind.FILE if self.file else Kind.FORGOTTEN


def pages() -> list[Path]:
    """The README and every page that people write."""
    written = [page for page in sorted((ROOT / "docs").rglob("*.md")) if GENERATED not in page.parents]
    return [ROOT / "README.md", ROOT / "deploy" / "README.md", *written]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, from the top."""
    return list(_read(page, page.read_text("utf-8").splitlines()))


def _read(page: Path, lines: list[str]) -> Iterator[Block]:
    begin, language, behind, reason = 0, "", None, None
    inside = False
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence and not inside:
            inside, begin, language = True, number, fence[1].split(" ")[0]
        elif fence:
            text = dedent("\n".join(lines[begin : number - 1])) + "\n"
            yield Block(page, begin, language, text, reason, behind)
            inside, behind, reason = False, language, None
        elif not inside and (named := NAMED.match(line)):
            reason = named[1]
        elif not inside and line.startswith("#"):
            behind = None
