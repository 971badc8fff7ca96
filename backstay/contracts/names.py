"""The names that workflows, workers and callers share."""

from typing import Final

AGENT_RUN: Final = "AgentRun"
EFFECT: Final = "Effect"
TASK_QUEUE: Final = "agents"

ADMIT: Final = "admit"
DECIDE: Final = "decide"
AUTHORIZE: Final = "authorize"
ACT: Final = "act"
PERFORM: Final = "perform"
NOTIFY: Final = "notify"
RECONCILE: Final = "reconcile"

APPROVE: Final = "approve"
DENY: Final = "deny"
ANSWER: Final = "answer"
EDIT: Final = "edit"
KILL: Final = "kill"
CLAIM: Final = "claim"
WITHDRAW: Final = "withdraw"
PAUSE: Final = "pause"
RESUME: Final = "resume"
STATUS: Final = "status"
TRANSCRIPT: Final = "transcript"
AUDIT: Final = "audit"

INVALID_INPUT: Final = "InvalidInput"
ATTEMPTS_LOST: Final = "AttemptsLost"
ATTEMPTS_UNSEEN: Final = "AttemptsUnseen"
TOOL_TIMEOUT: Final = "ToolTimeout"
EFFECT_UNREACHED: Final = "EffectUnreached"
BEGUN_BEFORE_RESET: Final = "BegunBeforeReset"

SEARCH_ATTRIBUTES: Final = {
    "BackstayAgent": "Keyword",
    "BackstayTenant": "Keyword",
    "BackstayState": "Keyword",
    "BackstayStopReason": "Keyword",
    "BackstayPendingApprovals": "Int",
    "BackstayUsd": "Double",
}
"""Search attributes and their Temporal types; `setup` registers them."""


def effects_queue(task_queue: str) -> str:
    """Returns the task queue on which shared effects of a task queue are performed."""
    return f"{task_queue}-effects"
