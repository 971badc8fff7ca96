"""Writes who did what in a run, and what was refused, for its page in the Temporal UI.

INVARIANT: what a person wrote goes through `inert`: the UI renders Markdown.
"""

from backstay.contracts.deeds import Deed, RefusedMessage
from backstay.contracts.status import RunStatusView
from backstay.kernel.markdown import inert

_LATEST = 10
_COMMENT = 180


def people(status: RunStatusView) -> list[str]:
    """Returns the lines of the latest deeds and refused messages; none where there are none."""
    did = [_deed(deed) for deed in status.people[-_LATEST:]]
    refused = [_refused(one) for one in status.refused[-_LATEST:]]
    return [
        *(["", "**Who did what:**", "", *did] if did else []),
        *(["", "**Refused messages:**", "", *refused] if refused else []),
    ]


def _deed(deed: Deed) -> str:
    about = f" {inert(deed.tool)}" if deed.tool else ""
    comment = f": {inert(_cut(deed.comment))}" if deed.comment else ""
    return f"- {deed.at} · {inert(deed.by)} {deed.did}{about}{comment}"


def _refused(one: RefusedMessage) -> str:
    by_whom = f" by {inert(one.by)}" if one.by else ""
    return f"- {one.at} · `{one.message}`{by_whom}: {one.code}. Instead: {one.instead}"


def _cut(text: str) -> str:
    return text if len(text) <= _COMMENT else text[: _COMMENT - 1] + "…"
