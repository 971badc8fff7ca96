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
    from activities import authorize as authorize
    from activities import conversation as conversation
    from activities import decide as decide
    from activities import notify as notify
    from activities import perform as perform
    from activities import prepare as prepare
    from activities import reconcile as reconcile
    from activities import review as review
    from policies import explain as explain
    from policies import gate as gate
    from policies import judge as judge
    from policies.bundle import build as build
    from policies.bundle import rule as rule
    from policies.bundle import source as source
    from policies.cedar import engine as engine
    from workflows import agent_run as agent_run
    from workflows import effect as effect

PACKAGE = Path(__file__).parents[1]
FLAT = not (PACKAGE / "workflows").is_dir()
ROOT = PACKAGE.parent if FLAT else PACKAGE
SHIPPED_AGENTS = ROOT / "agents"
SHIPPED_POLICIES = ROOT / "policies" / "org"

_HOMES = {
    "act": "activities.act",
    "admit": "activities.admit",
    "authorize": "activities.authorize",
    "conversation": "activities.conversation",
    "decide": "activities.decide",
    "notify": "activities.notify",
    "perform": "activities.perform",
    "prepare": "activities.prepare",
    "reconcile": "activities.reconcile",
    "review": "activities.review",
    "build": "policies.bundle.build",
    "rule": "policies.bundle.rule",
    "source": "policies.bundle.source",
    "engine": "policies.cedar.engine",
    "explain": "policies.explain",
    "gate": "policies.gate",
    "judge": "policies.judge",
    "agent_run": "workflows.agent_run",
    "effect": "workflows.effect",
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
