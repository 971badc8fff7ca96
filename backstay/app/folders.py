"""Opens the application folders, as the one typed door: flat in a checkout, below `backstay` in the wheel.

A type checker follows the imports below and sees the real modules. A running process loads each module when it is first
used, from wherever its folder lies.
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from activities import act as act
    from activities import admit as admit
    from activities import announce as announce
    from activities import archive as archive
    from activities import at_once as at_once
    from activities import authorize as authorize
    from activities import claim as claim
    from activities import compact as compact
    from activities import conversation as conversation
    from activities import decide as decide
    from activities import delegate as delegate
    from activities import enqueue as enqueue
    from activities import exposure as exposure
    from activities import grants as grants
    from activities import hold as hold
    from activities import hold_queues as hold_queues
    from activities import incident as incident
    from activities import look as look
    from activities import meter as meter
    from activities import notify as notify
    from activities import pace as pace
    from activities import past as past
    from activities import perform as perform
    from activities import prepare as prepare
    from activities import recall as recall
    from activities import reconcile as reconcile
    from activities import reserve as reserve
    from activities import review as review
    from activities import serves as serves
    from activities import sweep as sweep
    from activities import trip as trip
    from activities import verdicts as verdicts
    from activities import verify as verify
    from policies import explain as explain
    from policies import gate as gate
    from policies import judge as judge
    from policies.bundle import advice as advice
    from policies.bundle import build as build
    from policies.bundle import loss as loss
    from policies.bundle import problem as problem
    from policies.bundle import rule as rule
    from policies.bundle import source as source
    from policies.bundle import words as words
    from policies.cedar import engine as engine
    from policies.cedar import schema as schema
    from workflows import agent_run as agent_run
    from workflows import breakers as breakers
    from workflows import control_plane as control_plane
    from workflows import effect as effect
    from workflows import elsewhere as elsewhere
    from workflows import incident_sweep as incident_sweep
    from workflows import page_on_request as page_on_request
    from workflows import provider_quota as provider_quota
    from workflows import reporting as reporting
    from workflows import tenant_grants as tenant_grants
    from workflows import tenant_ledger as tenant_ledger
    from workflows.run import early as early

PACKAGE = Path(__file__).parents[1]
FLAT = not (PACKAGE / "workflows").is_dir()
ROOT = PACKAGE.parent if FLAT else PACKAGE
SHIPPED_AGENTS = ROOT / "agents"
SHIPPED_POLICIES = ROOT / "policies" / "org"

_HOMES = {
    "act": "activities.act",
    "admit": "activities.admit",
    "announce": "activities.announce",
    "archive": "activities.archive",
    "at_once": "activities.at_once",
    "authorize": "activities.authorize",
    "claim": "activities.claim",
    "conversation": "activities.conversation",
    "compact": "activities.compact",
    "decide": "activities.decide",
    "delegate": "activities.delegate",
    "enqueue": "activities.enqueue",
    "exposure": "activities.exposure",
    "grants": "activities.grants",
    "hold": "activities.hold",
    "hold_queues": "activities.hold_queues",
    "incident": "activities.incident",
    "look": "activities.look",
    "meter": "activities.meter",
    "notify": "activities.notify",
    "pace": "activities.pace",
    "past": "activities.past",
    "perform": "activities.perform",
    "prepare": "activities.prepare",
    "recall": "activities.recall",
    "reconcile": "activities.reconcile",
    "reserve": "activities.reserve",
    "review": "activities.review",
    "serves": "activities.serves",
    "sweep": "activities.sweep",
    "trip": "activities.trip",
    "verdicts": "activities.verdicts",
    "verify": "activities.verify",
    "advice": "policies.bundle.advice",
    "build": "policies.bundle.build",
    "loss": "policies.bundle.loss",
    "problem": "policies.bundle.problem",
    "rule": "policies.bundle.rule",
    "source": "policies.bundle.source",
    "words": "policies.bundle.words",
    "engine": "policies.cedar.engine",
    "schema": "policies.cedar.schema",
    "explain": "policies.explain",
    "gate": "policies.gate",
    "judge": "policies.judge",
    "agent_run": "workflows.agent_run",
    "breakers": "workflows.breakers",
    "control_plane": "workflows.control_plane",
    "effect": "workflows.effect",
    "elsewhere": "workflows.elsewhere",
    "incident_sweep": "workflows.incident_sweep",
    "page_on_request": "workflows.page_on_request",
    "tenant_grants": "workflows.tenant_grants",
    "provider_quota": "workflows.provider_quota",
    "reporting": "workflows.reporting",
    "tenant_ledger": "workflows.tenant_ledger",
    "early": "workflows.run.early",
}

if not TYPE_CHECKING:  # seen by a type checker, it would make any misspelt name an `Any`

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
        return importlib.import_module(module_name(_HOMES[name]))


def module_name(name: str) -> str:
    """Returns the name that a module of the application folders has in this installation."""
    if FLAT and sys.path[0] != str(ROOT):
        sys.path.insert(0, str(ROOT))  # another package may own a top-level `workflows`
    return name if FLAT else f"backstay.{name}"
