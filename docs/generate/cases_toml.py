"""Describes the file `cases.toml` from its model."""

from backstay.checks.cases import CaseTable

from .documented import prose
from .fields import rows, sections
from .markdown import page

_TEXT = """\
`agents/NAME/cases.toml` holds calls and the verdicts that the rules must give. `backstay policy test NAME` judges them
without a server and a model. Each case is one `[[case]]` table."""


def cases_toml() -> str:
    """Returns the page about `cases.toml`."""
    below = (f"## `{name}`\n\n{prose(model)}\n\n{rows(model)}" for name, model in list(sections(CaseTable, "case"))[1:])
    return page("cases.toml", _TEXT, prose(CaseTable), rows(CaseTable), *below)
