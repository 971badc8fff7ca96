"""The tree of errors: drawn as the classes have it, each with a code and with the word about when to raise it."""

import inspect
import pkgutil
import re
from importlib import import_module

import pytest

from backstay import errors
from backstay.errors import BackstayError

CODES = {
    "BackstayError": "BackstayError",
    "ConfigurationError": "ConfigurationError",
    "MissingExtraError": "MissingExtra",
    "UnreachableError": "Unreachable",
    "InvalidInputError": "InvalidInput",
    "RunError": "RunError",
    "RunNotFoundError": "RunNotFound",
    "RunExistsError": "RunExists",
    "RunConflictError": "RunConflict",
    "RunClosedError": "RunClosed",
    "NoResultError": "NoResult",
    "NoWorkerError": "NoWorker",
    "PausedByEngineError": "PausedByEngine",
    "RefusedError": "Refused",
    "CrowdedError": "Crowded",
    "ModelError": "ModelError",
    "NothingDoneError": "NothingDone",
    "HeldError": "Held",
    "UnservedError": "Unserved",
    "UnservedToolError": "UnservedTool",
    "UnreachedError": "McpUnreachable",
    "HistoryError": "HistoryError",
    "HistoryGoneError": "HistoryGone",
    "ForeignRunError": "ForeignRun",
    "EffectUnreachedError": "EffectUnreached",
    "LedgerUnansweredError": "LedgerUnanswered",
    "ControlUnansweredError": "ControlUnanswered",
    "OrderRefusedError": "OrderRefused",
    "NoticeError": "NoticeError",
    "ArchiveError": "ArchiveError",
    "CodecError": "CodecError",
    "ToolError": "ToolError",
    "AskedError": "Asked",
    "SecretError": "SecretError",
    "SchemaDriftError": "SchemaDrift",
    "OutcomeUnknownError": "OutcomeUnknown",
    "CallLostError": "ToolLost",
}
"""Callers in other languages tell errors apart by these words."""

MODULES = [import_module(f"{errors.__name__}.{module.name}") for module in pkgutil.iter_modules(errors.__path__)]
CLASSES = {
    name: found
    for module in MODULES
    for name, found in vars(module).items()
    if inspect.isclass(found) and issubclass(found, Exception) and found.__module__ == module.__name__
}
GROUPS = {name for name, found in CLASSES.items() if name in ("BackstayError", "RunError", "NothingDoneError")}


def drawn() -> dict[str, str | None]:
    """The parent of each class in the drawing."""
    above: list[str] = []
    parents: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    (?P<branch>[│├└─ ]*)(?P<name>\w+Error)(?: {2,}\S.*)?", line)
        if match:
            depth = len(match["branch"]) // 4
            parents[match["name"]] = above[depth - 1] if depth else None
            above[depth:] = [match["name"]]
    return parents


def test_the_drawing_has_every_class_under_its_parent_and_no_other() -> None:
    made = {name: None if found is BackstayError else found.__bases__[0].__name__ for name, found in CLASSES.items()}
    assert drawn() == made


def test_the_drawing_says_in_a_few_words_what_each_class_is_for() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if re.search(r"[├└]", line)]
    assert len(lines) == len(CLASSES) - 1
    assert all(re.search(r"Error {2,}\w+", line) for line in lines)


def test_every_class_is_imported_from_the_one_place() -> None:
    assert {name: vars(errors).get(name) for name in CLASSES} == CLASSES


def test_every_class_has_a_code_of_its_own_that_never_changes() -> None:
    assert {name: vars(found).get("code") for name, found in CLASSES.items()} == CODES
    assert len(set(CODES.values())) == len(CODES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_docstring_says_when_to_raise_this_and_when_another(name: str) -> None:
    said = inspect.getdoc(CLASSES[name]) or ""
    if name in GROUPS:
        assert "raise one of its subclasses" in said
        return
    others = {word for word in re.findall(r"`(\w+Error)`", said) if word != name}
    assert said.startswith("Raised ")
    assert others <= CLASSES.keys()
    assert others or "no error" in said or "raise nothing" in said
