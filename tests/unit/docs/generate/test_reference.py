"""The reference says what the code says: whoever changes the one without the other hears of it here."""

import json

import pytest

from docs.generate.messages import MESSAGES
from docs.generate.reference import FOLDER, reference, written

PAGES = reference()
MEND = "the reference is not what the code says: run `make reference` and commit what it writes"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_file_is_what_the_code_says(name: str) -> None:
    file = FOLDER / name
    assert file.is_file(), MEND
    assert file.read_text("utf-8") == PAGES[name], MEND


def test_nothing_stands_there_that_the_code_no_longer_has() -> None:
    assert written() - set(PAGES) == set(), MEND


def test_every_message_has_a_schema_of_what_it_takes_and_returns() -> None:
    kinds = {kind.__name__ for one in MESSAGES for kind in (one.takes, one.gives) if kind}
    assert {f"schemas/{name}.json" for name in kinds} <= set(PAGES)


def test_a_schema_is_json_and_explains_each_of_its_fields() -> None:
    for name, text in PAGES.items():
        if name.endswith(".json"):
            schema = json.loads(text)
            parts = [schema, *schema.get("$defs", {}).values()]
            properties = {key: entry for part in parts for key, entry in part.get("properties", {}).items()}
            assert [key for key, entry in properties.items() if not {"description", "$ref"} & set(entry)] == [], name
