"""A mistyped name is answered with the one that was meant."""

import pytest

from backstay.kernel.nearest import did_you_mean, nearest

KNOWN = ("steps", "tool_calls", "usd", "seconds", "support", "budget_exhausted")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("stepz", "steps"),
        ("toolcalls", "tool_calls"),
        ("USD", "usd"),
        ("Suport", "support"),
        ("budget", "budget_exhausted"),
        ("tool-call", "tool_calls"),
    ],
)
def test_the_nearest_name_is_found(typed: str, meant: str) -> None:
    assert nearest(typed, KNOWN) == meant
    assert did_you_mean(typed, KNOWN) == f"did you mean `{meant}`?"


SETTINGS = ("require", "expires_after", "wait_at_most", "on_expiry", "unknown", "requester_required", "groups")
COMMANDS = ("new", "run", "list", "approvals", "approve", "keys", "worker", "codec-server")
OPTIONS = ("--requested-by", "--no-wait", "--stop-reason", "--output")
TOOLS = ("issue_refund", "lookup_order", "send_email", "parseInvoice")


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("require_requester", SETTINGS, "requester_required"),
        ("required-requester", SETTINGS, "requester_required"),
        ("requester", SETTINGS, "requester_required"),
        ("most_wait", SETTINGS, "wait_at_most"),
        ("approval_groups", SETTINGS, "groups"),
        ("group", SETTINGS, "groups"),
        ("server-codec", COMMANDS, "codec-server"),
        ("workers", COMMANDS, "worker"),
        ("codec", COMMANDS, "codec-server"),
        ("--by-requested", OPTIONS, "--requested-by"),
        ("--wait-no", OPTIONS, "--no-wait"),
        ("--reason", OPTIONS, "--stop-reason"),
        ("refund_issue", TOOLS, "issue_refund"),
        ("refund", TOOLS, "issue_refund"),
        ("orders_lookup", TOOLS, "lookup_order"),
        ("sendEmails", TOOLS, "send_email"),
        ("invoice_parse", TOOLS, "parseInvoice"),
    ],
)
def test_a_name_of_the_same_words_in_another_order_or_number_is_found(
    typed: str, known: tuple[str, ...], meant: str
) -> None:
    assert nearest(typed, known) == meant


@pytest.mark.parametrize("typed", ["delete_file", "get_order", "start"])
def test_one_word_of_several_is_no_guess(typed: str) -> None:
    assert nearest(typed, TOOLS) is None


@pytest.mark.parametrize("typed", ["", "zzz", "b", "quarterly-report"])
def test_what_is_like_none_is_no_guess(typed: str) -> None:
    assert nearest(typed, KNOWN) is None
    assert did_you_mean(typed, KNOWN) is None
