"""The support agent's mail: real SMTP into a maildir."""

import importlib
import importlib.machinery
import importlib.util
import mailbox
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from backstay.tools import OutcomeUnknownError, ToolCall, ToolError

SUPPORT = Path(__file__).parents[2] / "agents" / "support"
PACKAGE = "support_agent_for_mail_tests"


@pytest.fixture(scope="module")
def support() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the support agent's folder, which is one package."""
    spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(SUPPORT)]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def mail(support: Callable[[str], ModuleType]) -> Any:
    return support("mail")


@pytest.fixture
def tools(support: Callable[[str], ModuleType]) -> Any:
    return support("tools")


@pytest.fixture
def maildir(mail: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A maildir behind a mail server that `SHOP_SMTP` names."""
    with mail.serve_maildir(tmp_path / "maildir") as address:
        monkeypatch.setenv("SHOP_SMTP", address)
        yield tmp_path / "maildir"


def messages_in(path: Path) -> list[EmailMessage]:
    with closing(mailbox.Maildir(path, create=False)) as box:
        return [message_from_bytes(box.get_bytes(key), policy=policy.default) for key in box.iterkeys()]


def call_with_key(key: str) -> ToolCall:
    return ToolCall(run_id="run-1", step=1, call_id="c1", idempotency_key=key, agent="support", tenant="t", metadata={})


def test_a_message_arrives_with_its_headers_and_text(tools: Any, maildir: Path) -> None:
    sent = tools.send_email(call_with_key("k1"), "ann@example.com", "Rückgabe A17", "Grüße\n.\nend ✓\n")
    [message] = messages_in(maildir)
    assert message["To"] == "ann@example.com"
    assert message["From"] == "Shop Support <support@example.com>"
    assert message["Subject"] == "Rückgabe A17"
    assert message["Message-ID"] == sent.message_id
    assert message["Date"] is not None
    assert message.get_content() == "Grüße\n.\nend ✓\n"
    assert message["X-RcptTo"] == "ann@example.com"


def test_a_message_id_is_the_same_for_the_same_key_and_differs_for_another(tools: Any, maildir: Path) -> None:
    calls = [call_with_key(key) for key in ("k1", "k1", "k2")]
    ids = [tools.send_email(call, "ann@example.com", "s", "b").message_id for call in calls]
    assert ids[0] == ids[1] != ids[2]
    assert len(messages_in(maildir)) == 3


def test_an_address_and_subject_in_other_scripts_are_delivered(mail: Any, maildir: Path) -> None:
    mail.deliver(mail.compose("żółw@example.org", "注文 B20 " * 30, "ok"))
    [message] = messages_in(maildir)
    assert message["Subject"] == ("注文 B20 " * 30)
    assert message["X-RcptTo"] == "żółw@example.org"


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\r\n ", "\x0b", "\x85", "\u2028", "\0"])
@pytest.mark.parametrize("end", ["Bcc: eve@example.com", ""])
def test_a_line_break_in_a_header_is_refused(tools: Any, maildir: Path, line_break: str, end: str) -> None:
    with pytest.raises(ToolError, match="line breaks"):
        tools.send_email(call_with_key("k"), "ann@example.com", f"hello{line_break}{end}", "b")
    with pytest.raises(ToolError, match="line breaks"):
        tools.send_email(call_with_key("k"), f"ann@example.com{line_break}{end}", "hello", "b")
    assert messages_in(maildir) == []


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "a@example.com,b@example.com",
        "Ann <ann@example.com>",
        "a@b@example.com",
    ],
)
def test_a_recipient_that_is_not_one_plain_address_is_refused(tools: Any, maildir: Path, to: str) -> None:
    with pytest.raises(ToolError, match="one plain address"):
        tools.send_email(call_with_key("k"), to, "s", "b")
    assert messages_in(maildir) == []


@pytest.mark.parametrize("field", ["to", "subject", "body"])
def test_text_that_is_no_unicode_is_refused_before_anything_is_sent(mail: Any, field: str) -> None:
    parts = {"to": "ann@example.com", "subject": "s", "body": "b"}
    with pytest.raises(ToolError):
        mail.compose(**(parts | {field: "\ud800" + parts[field]}))


def test_headers_in_the_body_stay_in_the_body(tools: Any, maildir: Path) -> None:
    body = "\r\nBcc: eve@example.com\r\n\r\n.\r\nQUIT\r\n"
    tools.send_email(call_with_key("k"), "ann@example.com", "s", body)
    [message] = messages_in(maildir)
    assert message["Bcc"] is None
    assert message["X-RcptTo"] == "ann@example.com"
    assert "Bcc: eve@example.com" in message.get_content()


def test_without_a_mail_server_one_local_maildir_is_served_to_all_threads(
    mail: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_SMTP", raising=False)
    monkeypatch.setenv("SHOP_HOME", str(tmp_path))

    def send(number: int) -> str:
        return mail.deliver(mail.compose("bo@example.org", f"message {number}", "b"))

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(send, range(16)))
    messages = messages_in(tmp_path / "maildir")
    assert {message["Message-ID"] for message in messages} == ids
    assert len(messages) == len(ids) == 16


def test_a_server_that_cannot_be_reached_means_nothing_was_sent(mail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SHOP_SMTP", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ToolError, match="nothing was sent"):
            mail.deliver(mail.compose("ann@example.com", "s", "b"))


@pytest.mark.parametrize("address", ["localhost", ":25", "localhost:smtp", "localhost:"])
def test_a_mail_server_without_host_and_port_is_named_as_the_mistake(
    mail: Any, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("SHOP_SMTP", address)
    with pytest.raises(ToolError, match="SHOP_SMTP"):
        mail.deliver(mail.compose("ann@example.com", "s", "b"))


class RefusingRecipients:
    """A server that knows nobody."""

    async def handle_RCPT(self, *_: object) -> str:
        return "550 no such user"


class LosingTheConnection:
    """A server that takes the message and goes away before it says so."""

    async def handle_DATA(self, server: Any, *_: object) -> str:
        server.transport.abort()
        return "250 OK"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[object], None]]:
    controllers: list[Controller] = []

    def start(handler: object) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        controller = Controller(handler, hostname="127.0.0.1", port=port)
        controller.start()
        controllers.append(controller)
        monkeypatch.setenv("SHOP_SMTP", f"127.0.0.1:{port}")

    yield start
    for controller in controllers:
        controller.stop()


def test_a_refused_recipient_is_an_error_the_model_can_read(mail: Any, serve: Callable[[object], None]) -> None:
    serve(RefusingRecipients())
    with pytest.raises(ToolError, match="refused"):
        mail.deliver(mail.compose("ann@example.com", "s", "b"))


def test_a_connection_lost_while_sending_is_not_reported_as_unsent(mail: Any, serve: Callable[[object], None]) -> None:
    serve(LosingTheConnection())
    with pytest.raises(OutcomeUnknownError, match="broke"):
        mail.deliver(mail.compose("ann@example.com", "s", "b"))
