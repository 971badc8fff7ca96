"""The site has a way to every page, and no link of a page leads nowhere."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CONFIGURATION = tomllib.loads((ROOT / "zensical.toml").read_text())
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def named(entries: object) -> Iterator[str]:
    """The pages that the navigation names, at any depth."""
    match entries:
        case str():
            yield entries
        case list():
            for entry in entries:
                yield from named(entry)
        case dict():
            for entry in entries.values():
                yield from named(entry)


def test_the_navigation_names_every_page_once_and_no_other() -> None:
    there = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
    assert sorted(named(CONFIGURATION["project"]["nav"])) == there, "mend `nav` in zensical.toml"


def test_every_file_that_a_page_of_the_checkout_links_to_exists() -> None:
    pages = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "deploy/README.md")]
    texts = {page: BLOCK.sub("", page.read_text()) for page in [*pages, *DOCS.rglob("*.md")]}
    links = [(page, target) for page, text in texts.items() for target in LINK.findall(text)]
    assert len(links) > 50
    assert [(page.name, target) for page, target in links if not (page.parent / target).exists()] == []
