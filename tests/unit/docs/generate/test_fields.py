"""Models are described as the files that they read: tables of tables, defaults as TOML, types in words."""

from pydantic import BaseModel, Field

from docs.generate.fields import default_of, rows, sections


class Inner(BaseModel):
    """One tool.

    Attributes:
        calls: how many.
    """

    calls: int | None = None


class Outer(BaseModel):
    """A file.

    Attributes:
        words: some text.
        on: switched on.
        names: some names.
    """

    words: str
    on: bool = False
    names: list[str] = Field(default_factory=list)
    limit: Inner = Inner()
    tools: dict[str, Inner] = Field(default_factory=dict)


def test_each_table_of_a_file_is_a_section() -> None:
    assert [name for name, _ in sections(Outer, "agent.toml")] == ["agent.toml", "limit", "tools.NAME"]


def test_a_table_holds_the_plain_keys_with_type_and_default() -> None:
    assert rows(Outer).splitlines()[2:] == [
        "| `words` | string | required | Some text. |",
        "| `on` | boolean | `false` | Switched on. |",
        "| `names` | list of string |  | Some names. |",
    ]


def test_a_default_is_written_as_toml_writes_it() -> None:
    assert default_of(Outer.model_fields["on"]) == "`false`"
    assert default_of(Inner.model_fields["calls"]) == ""
