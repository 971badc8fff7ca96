"""Makes `ask_human`: a call is a question, which waits as an approval until a person of a group answers."""

from collections.abc import Callable
from typing import Annotated, Any, NoReturn

from pydantic import Field

from backstay.errors import ToolError

from ..declare import tool
from .settings import PeopleTable

Question = Annotated[str, Field(min_length=1, max_length=4_000)]
Choices = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=20)]


def has_choices(choices: list[str] | None) -> bool:
    """Tells whether a question lists its answers."""
    return bool(choices)


def ask_human(table: PeopleTable) -> Callable[..., Any]:
    """Makes the tool `ask_human`."""

    @tool(
        effect="read",
        groups=table.groups,
        untrusted=not table.trusted,
        clean=[] if table.trusted else ["by", "why"],
        facts={"has_choices": ("Bool", has_choices)},
    )
    def ask_human(question: Question, choices: Choices | None = None) -> NoReturn:
        """Asks a person and waits for the answer. With `choices` the answer is one of them."""
        raise ToolError("a question is answered in its run, and executed nowhere")

    return ask_human
