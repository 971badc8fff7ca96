"""`send_email` against real mail servers: who gets a message, and what became of it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import ValidationError

from backstay.errors import ConfigurationError, OutcomeUnknownError, ToolError
from backstay.tools import ToolCall
from backstay.tools.declare import options_of
from backstay.tools.ready.mail import message_id_of, send_email, server_of
from backstay.tools.ready.settings import MailTable

from .certificates import Authority


@dataclass
class Post:
    """A server that keeps messages with their envelopes; a test may change any of its answers."""

    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list[tuple[list[str], EmailMessage]])
    logins: list[bytes] = field(default_factory=list[bytes])
    port: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append((list(envelope.rcpt_tos), message))
        return "250 OK"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"p@ss word", handled=False)


class KnowsOnlyAnn(Post):
    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if not address.startswith("ann@"):
            return "550 no such user\u2026 <b>"
        envelope.rcpt_tos.append(address)
        return "250 OK"


class RefusesContent(Post):
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        return "554 smells of spam"


class BusyWithContent(Post):
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        return "451 try again later"


class TakesAndIsGone(Post):
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await super().handle_DATA(server, session, envelope)
        server.transport.abort()
        return "250 OK"


class TakesAndSaysNothing(Post):
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(3)
        return "250 OK"


class GoneAtTheSender(Post):
    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        server.transport.abort()
        return "250 OK"


class AnyController(Controller):
    """Knocks at its own server as a client would, also where it encrypts from the start."""

    def _trigger_server(self) -> None:
        with contextlib.ExitStack() as stack:
            knocking = stack.enter_context(socket.create_connection((self.hostname, self.port), 5))
            if self.ssl_context is not None:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                knocking = stack.enter_context(context.wrap_socket(knocking))
            knocking.recv(1024)


Serve = Callable[..., Post]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves mail on a free port of this machine."""
    running: list[Controller] = []

    def started(post: Post | None = None, host: str = "127.0.0.1", **options: Any) -> Post:
        made = post or Post()
        with socket.socket() as probe:
            probe.bind((host, 0))
            made.port = probe.getsockname()[1]
        controller = AnyController(made, hostname=host, port=made.port, **options)
        controller.start()
        running.append(controller)
        return made

    yield started
    for controller in running:
        controller.stop()


def call(key: str = "key-1", **secrets: str) -> ToolCall:
    return ToolCall("run-1", 1, "c1", key, "clerk", "acme", read_secret=secrets.__getitem__)


def tool(post: Post, **keys: Any) -> Any:
    table = {"smtp": f"smtp://127.0.0.1:{post.port}", "from": "support@example.com", "encrypted": False, "seconds": 1}
    return send_email(MailTable.model_validate({**table, **keys}))


def test_a_message_arrives_with_its_headers_at_all_recipients(serve: Serve) -> None:
    post = serve()
    sent = tool(post)(call(), ["ann@example.com", "Bob@EXAMPLE.org"], "Grüße 注文", "hallo\n.\nend ✓\n")
    [(recipients, message)] = post.taken
    assert recipients == sent.accepted == ["ann@example.com", "Bob@example.org"]
    assert (message["From"], message["To"]) == ("support@example.com", "ann@example.com, Bob@example.org")
    assert (message["Subject"], message["Auto-Submitted"]) == ("Grüße 注文", "auto-generated")
    assert message["Date"] is not None
    assert message.get_content().replace("\r\n", "\n") == "hallo\n.\nend ✓\n"
    assert sent.refused == {}


def test_the_id_comes_from_the_key_so_that_a_second_copy_is_known(serve: Serve) -> None:
    post = serve()
    ids = [tool(post)(call(key), ["ann@example.com"], "s", "b").message_id for key in ("k1", "k1", "k2")]
    assert [message["Message-ID"] for _, message in post.taken] == ids
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] == message_id_of("k1", "support@example.com")
    assert ids[0].endswith("@example.com>")


@pytest.mark.parametrize(
    "to",
    [
        ["a@x.com, evil@x.com"],
        ["g: evil@x.com, b@x.com;"],
        ['"boss@acme.com" <evil@x.com>'],
        ["<a@acme.com>evil@x.com"],
        ["a@x.com\0"],
        ["a@x.com\r\nRCPT TO:<evil@x.com>"],
        [],
        [f"a{number}@x.com" for number in range(11)],
    ],
)
def test_recipients_that_could_reach_others_reach_nobody(serve: Serve, to: list[str]) -> None:
    post = serve()
    with pytest.raises(ToolError, match=r"^recipient_refused: "):
        tool(post)(call(), to, "s", "b")
    assert post.taken == []


@pytest.mark.parametrize(
    "subject", ["a\nBcc: evil@x.com", "a\r\n\r\nb", "a\u2028b", "a\0b", "a\u202eb", "x" * 301, "\ud800"]
)
def test_a_subject_is_one_plain_line(serve: Serve, subject: str) -> None:
    post = serve()
    with pytest.raises(ToolError, match=r"^message_refused: "):
        tool(post)(call(), ["ann@example.com"], subject, "b")
    assert post.taken == []


def test_headers_and_commands_in_the_body_stay_in_the_body(serve: Serve) -> None:
    post = serve()
    tool(post)(call(), ["ann@example.com"], "s", "\r\nBcc: eve@example.com\r\n\r\n.\r\nQUIT\r\n")
    [(recipients, message)] = post.taken
    assert (recipients, message["Bcc"]) == (["ann@example.com"], None)
    assert "Bcc: eve@example.com" in message.get_content()


def test_a_body_that_is_too_long_or_no_text_is_refused(serve: Serve) -> None:
    for body in ("x" * 11, "\ud800"):
        with pytest.raises(ToolError, match=r"^message_refused: "):
            tool(serve(), body_bytes=10)(call(), ["ann@example.com"], "s", body)


# What became of it


def test_whom_the_server_refuses_is_told_and_the_others_get_it(serve: Serve) -> None:
    post = serve(KnowsOnlyAnn())
    sent = tool(post)(call(), ["bob@example.com", "ann@example.com"], "s", "b")
    assert (sent.accepted, list(sent.refused)) == (["ann@example.com"], ["bob@example.com"])
    assert sent.refused["bob@example.com"].startswith("550 no such user")
    assert sent.refused["bob@example.com"].isascii()
    assert [recipients for recipients, _ in post.taken] == [["ann@example.com"]]


def test_a_message_that_nobody_may_get_is_not_sent(serve: Serve) -> None:
    post = serve(KnowsOnlyAnn())
    with pytest.raises(ToolError, match=r"^mail_refused: .*nothing was sent"):
        tool(post)(call(), ["bob@example.com"], "s", "b")
    assert post.taken == []


@pytest.mark.parametrize(("post", "status"), [(RefusesContent, "554"), (BusyWithContent, "451")])
def test_a_message_that_the_server_did_not_take_is_a_failure(serve: Serve, post: type[Post], status: str) -> None:
    with pytest.raises(ToolError, match=rf"^mail_refused: .*{status}"):
        tool(serve(post()))(call(), ["ann@example.com"], "s", "b")


@pytest.mark.parametrize("post", [TakesAndIsGone, TakesAndSaysNothing])
def test_nobody_knows_what_became_of_a_message_after_which_the_connection_broke(serve: Serve, post: type[Post]) -> None:
    made = serve(post())
    with pytest.raises(OutcomeUnknownError, match="the server may have it"):
        tool(made)(call(), ["ann@example.com"], "s", "b")
    assert len(made.taken) == 1


def test_a_connection_that_breaks_before_the_message_is_a_failure(serve: Serve) -> None:
    with pytest.raises(ToolError, match=r"^mail_failed: the connection broke before the message was sent"):
        tool(serve(GoneAtTheSender()))(call(), ["ann@example.com"], "s", "b")
    with pytest.raises(ToolError, match=r"^mail_failed: .*nothing was sent"):
        tool(Post(port=1))(call(), ["ann@example.com"], "s", "b")


# Encryption and login


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def test_a_server_that_does_not_encrypt_gets_nothing(serve: Serve) -> None:
    post = serve(host="127.0.0.2")  # another machine, as far as anybody can tell
    made = tool(post, smtp=f"smtp://127.0.0.2:{post.port}", encrypted=True)
    with pytest.raises(ToolError, match=r"^mail_failed: the mail server does not encrypt"):
        made(call(), ["ann@example.com"], "s", "b")
    assert post.taken == []


def test_a_server_on_this_machine_needs_no_encryption(serve: Serve) -> None:
    post = serve()
    tool(post, encrypted=True)(call(), ["ann@example.com"], "s", "b")
    assert len(post.taken) == 1


def test_messages_are_from_the_login_where_nobody_else_is_named(serve: Serve) -> None:
    post = serve(authenticator=lambda *_: AuthResult(success=True), auth_require_tls=False)
    made = send_email(MailTable.model_validate({"smtp": "secret:SMTP_URL"}))
    login = f"smtp://bob%40example.com:secret@127.0.0.1:{post.port}"
    made(call(SMTP_URL=login), ["ann@example.com"], "s", "b")
    assert post.taken[0][1]["From"] == "bob@example.com"
    with pytest.raises(ToolError, match=r"^mail_failed: the settings name nobody"):
        made(call(SMTP_URL=f"smtp://127.0.0.1:{post.port}"), ["ann@example.com"], "s", "b")
    with pytest.raises(ConfigurationError, match="`from` is no bare address"):
        send_email(MailTable.model_validate({"smtp": "smtp://127.0.0.1"}))


def test_a_login_is_a_secret_and_goes_over_an_encrypted_connection_only(serve: Serve, authority: Authority) -> None:
    post = Post()
    serve(post, tls_context=authority.server("localhost"), authenticator=post.login, auth_required=True)
    made = tool(post, smtp="secret:SMTP_URL", encrypted=True, seconds=5)
    options = options_of(made)
    assert options is not None
    assert options.secrets == ("SMTP_URL",)
    made(call(SMTP_URL=f"smtp://bob:p%40ss%20word@localhost:{post.port}"), ["ann@example.com"], "s", "b")
    assert (post.logins, len(post.taken)) == ([b"p@ss word"], 1)
    with pytest.raises(ToolError, match=r"^mail_failed: the mail server refuses the login"):
        made(call(SMTP_URL=f"smtp://bob:wrong@localhost:{post.port}"), ["ann@example.com"], "s", "b")


def test_a_certificate_of_another_name_gets_nothing(serve: Serve, authority: Authority) -> None:
    post = serve(tls_context=authority.server("other.test"))
    with pytest.raises(ToolError, match=r"^mail_failed: .*certificate does not hold"):
        tool(post, smtp=f"smtp://localhost:{post.port}", encrypted=True)(call(), ["ann@example.com"], "s", "b")
    assert post.taken == []


def test_a_server_that_encrypts_from_the_start_is_reached_by_smtps(serve: Serve, authority: Authority) -> None:
    post = serve(ssl_context=authority.server("localhost"))
    made = tool(post, smtp=f"smtps://localhost:{post.port}", encrypted=True, seconds=5)
    made(call(), ["ann@example.com"], "s", "b")
    assert len(post.taken) == 1


# Settings


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://h", "smtp://", "smtp://h/x", "smtp://h:no", "smtp://h:99999", "smtp://h?x"]
)
def test_an_address_of_no_mail_server_is_refused_when_the_agent_loads(url: str) -> None:
    with pytest.raises(ConfigurationError, match="`smtp` is no address of a mail server"):
        tool(Post(), smtp=url)


def test_a_password_in_the_settings_and_a_sender_with_a_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="holds a password"):
        tool(Post(), smtp="smtp://bob:canary-4242@h")
    with pytest.raises(ConfigurationError, match="`from` is no bare address"):
        tool(Post(), **{"from": "Shop <support@example.com>"})


def test_usual_ports_are_known() -> None:
    assert [(server_of(url).port, server_of(url).wrapped) for url in ("smtp://h", "smtps://h", "smtp://h:25")] == [
        (587, False),
        (465, True),
        (25, False),
    ]


def test_a_message_happens_once_and_says_whom_it_reaches_and_what_it_says() -> None:
    options = options_of(tool(Post(), groups=["news"]))
    assert options is not None
    assert (options.effect, options.groups) == ("once", ("external", "news"))
    assert (options.roles.targets, options.roles.texts) == (("to",), ("subject", "body"))
    facts = {name: function(["a@X.com", "nonsense"]) for name, (_, function) in options.facts.items()}
    assert facts == {"recipient_domains": ["", "x.com"], "recipients": 2}
