"""Finds what an exchange of bundles would take away, so that a slip of an editor or a cut file never opens the gate."""

from .build import LISTED_TOOLS, Bundle
from .rule import Rule


def losses(before: Bundle, after: Bundle) -> list[str]:
    """Returns, in words, what `before` holds against calls and `after` would not.

    Compared are the rules in force, those that settings generate as well. A forbid is kept where a forbid of its id is
    in force afterwards, or one that says the same under another id. A permit may go, as that only denies more; but a
    file that had rules keeps some.
    """
    gone = [file for file in sorted(before.files - after.files) if not _all_kept(file, before, after)]
    lost = [_named(rule) for rule in _forbids(before) if _binds(rule, after) and not _kept(rule, after)]
    return [*(f"{file}: had rules, and has none now" for file in gone), *lost, *_loosened(before, after)]


def _forbids(bundle: Bundle) -> list[Rule]:
    return [rule for _, rule in sorted(bundle.enforced.rules.items()) if not rule.permits]


def _binds(rule: Rule, after: Bundle) -> bool:
    """Tells whether a rule could cover a call of a tool that is still there."""
    return any(rule.covers(after.agent, name, tool.groups) for name, tool in after.schema.tools.items())


def _kept(rule: Rule, after: Bundle) -> bool:
    return any(rule.id == other.id or rule.says_the_same(other) for other in _forbids(after))


def _all_kept(file: str, before: Bundle, after: Bundle) -> bool:
    """Tells whether every rule of a file is in force from another one: the file was only renamed."""
    rules = [rule for rule in before.all_rules() if rule.file == file]
    return all(any(rule.id == other.id and rule.says_the_same(other) for other in after.all_rules()) for rule in rules)


def _loosened(before: Bundle, after: Bundle) -> list[str]:
    """Finds the settings whose default is looser than what is in force."""
    found: list[str] = []
    if before.observed is None and after.observed is not None:
        found.append('`mode = "enforce"` would become `"observe"`')
    if LISTED_TOOLS in after.enforced.rules and LISTED_TOOLS not in before.enforced.rules:
        found.append('`permit = "explicit"` would become `"listed"`')
    return found


def _named(rule: Rule) -> str:
    return f"the rule `{rule.id}` ({rule.where}) would be lost"
