"""Holds the two ways out of an approval: a call that may be executed now, and one that may not."""

from dataclasses import dataclass

from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import Consent
from backstay.kernel.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Released:
    """A call that may be executed now; `edited` says that its arguments are a person's.

    `identity` is equal for calls that the tool cannot tell apart; empty where none was recorded.
    """

    call: ProposedCall
    verdict: Verdict
    consent: Consent
    edited: bool
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that may not be executed, and what the model is told."""

    text: str


def denial(verdict: Verdict) -> str:
    """Returns what the model reads of a refusal: by which rule and why, never the rule's own values."""
    rules = f" by {', '.join(verdict.rules)}" if verdict.rules else ""
    return f"denied{rules}: {verdict.message or verdict.code.value}"
