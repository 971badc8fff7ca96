"""Every block of the README and the documentation is run, or named with a reason and checked for what it is."""

import re
from pathlib import Path

import pytest

from backstay.adapters.engine.dev_server import DevServer
from backstay.settings import Settings
from tests.docs.blocks import ROOT, Block, Kind, blocks, pages
from tests.docs.named import REASONS
from tests.docs.place import place

PAGES = {page.relative_to(ROOT).as_posix(): blocks(page) for page in pages()}
RUN = (Kind.COMMANDS, Kind.FILE)
ALL = [block for page in PAGES.values() for block in page]
SET = re.compile(r"\bBACKSTAY_[A-Z_]+\b")


def test_no_block_is_forgotten() -> None:
    forgotten = [f"{block} ({block.language or 'no language'})" for block in ALL if block.kind is Kind.FORGOTTEN]
    assert forgotten == [], "run it, or name it by `<!-- not run: REASON -->`: see tests/docs/blocks.py"


def test_some_blocks_of_each_kind_are_found() -> None:
    assert {block.kind for block in ALL} == set(Kind) - {Kind.FORGOTTEN}


@pytest.mark.parametrize("block", [block for block in ALL if block.kind is Kind.NAMED], ids=str)
def test_a_block_that_is_not_run_is_checked_for_what_it_is(block: Block) -> None:
    checks = REASONS.get(block.reason or "")
    assert checks is not None, f"{block}: the reasons are {', '.join(REASONS)}"
    assert block.language in checks, f"{block}: no check for `{block.language}` under this reason"
    checks[block.language](block)


@pytest.mark.parametrize("page", [page for page, found in PAGES.items() if any(one.kind in RUN for one in found)])
def test_the_commands_and_files_of_a_page_work_in_their_order(
    page: str, temporal_server: DevServer, tmp_path: Path
) -> None:
    found = PAGES[page]
    with place(tmp_path / "work", temporal_server.address) as here:
        for block, behind in zip(found, [*found[1:], None], strict=True):
            if block.kind is Kind.FILE:
                here.write(block)
            elif block.kind is Kind.COMMANDS:
                here.run(block, behind.text if behind and behind.kind is Kind.OUTPUT else "")


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "how-to" / "clients").iterdir()), ids=lambda file: file.name)
def test_a_program_is_the_same_as_a_file_and_on_its_page(file: Path) -> None:
    shown = [
        block.text for block in PAGES["docs/how-to/start-and-approve.md"] if block.text.startswith(file_mark(file))
    ]
    assert shown == [file.read_text("utf-8")]


def file_mark(file: Path) -> str:
    """The first line of a program."""
    return f"{'#' if file.suffix == '.py' else '//'} {file.name}\n"


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_page_names_exists(page: str) -> None:
    known = {f"BACKSTAY_{name.upper()}" for name in Settings.model_fields}
    assert set(SET.findall((ROOT / page).read_text("utf-8"))) - known == set()
