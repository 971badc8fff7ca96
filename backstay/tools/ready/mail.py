"""Makes `send_email`: one message over SMTP, from a fixed sender, to bare addresses."""

import contextlib
import hashlib
import re
import smtplib
import ssl
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime, localtime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from backstay.errors import ConfigurationError, OutcomeUnknownError

from ..call import ToolCall
from ..declare import tool
from .recipients import address_of, addresses_of, recipient_count, recipient_domains
from .refusal import Reason, refusal
from .settings import MailTable, secret_named

_PORTS: Final = {"smtp": 587, "smtps": 465}
_HERE: Final = ("localhost", "127.0.0.1", "::1")
_LONGEST_SUBJECT: Final = 300
_NOT_IN_A_LINE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ACCEPTED: Final = (250, 251)
_STATUS: Final = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the server took: its id, who gets it, and whom the server refused, in its words."""

    message_id: str
    accepted: list[str]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class MailServer:
    """The server that takes messages: host, port, login, and whether all is encrypted from the start."""

    host: str
    port: int
    user: str
    password: str
    wrapped: bool


def server_of(url: str) -> MailServer:
    """Reads `smtp://user:password@host:587` or `smtps://...`.

    Raises:
        ValueError: the text is no such address; the error does not repeat it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ValueError("expected smtp://HOST:PORT or smtps://HOST:PORT") from None
    if not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("expected smtp://HOST:PORT or smtps://HOST:PORT")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailServer(host, port, user, password, parts.scheme == "smtps")


def send_email(table: MailTable) -> Callable[..., Any]:
    """Makes the tool `send_email`.

    Raises:
        ConfigurationError: the server's address or the sender cannot be used.
    """
    secret = secret_named(table.smtp)
    try:
        login = "" if secret else server_of(table.smtp).user
    except ValueError as error:
        mend = "write `smtp://mail.example.com`, or `secret:NAME`"
        raise ConfigurationError(f"`smtp` is no address of a mail server: {error}", mend=mend) from None
    if address_of(table.sender or login) is None and (table.sender is not None or secret is None):
        raise ConfigurationError("`from` is no bare address", mend='write it as `from = "support@example.com"`')

    @tool(
        effect="once",
        timeout=f"{table.seconds * 3}s",
        groups=list(dict.fromkeys(["external", *table.groups])),
        secrets=[secret] if secret else [],
        untrusted=["refused"],
        targets=["to"],
        texts=["subject", "body"],
        facts={
            "recipient_domains": ("Set<String>", recipient_domains),
            "recipients": ("Long", recipient_count),
        },
    )
    def send_email(call: ToolCall, to: list[str], subject: str, body: str) -> Sent:
        """Sends one plain-text e-mail. Each entry of `to` is one bare address such as `ann@example.com`."""
        recipients = addresses_of(to, table.recipients)
        try:
            server = server_of(call.secret(secret) if secret else table.smtp)
        except ValueError as error:
            raise refusal(Reason.MAIL_FAILED, f"the mail server's address cannot be read: {error}") from None
        sender = address_of(table.sender or server.user)
        if sender is None:
            raise refusal(Reason.MAIL_FAILED, "the settings name nobody whom messages are from")
        message = _composed(table, sender, recipients, subject, body)
        message["Message-ID"] = message_id_of(call.idempotency_key, sender)
        return _delivered(table, server, sender, recipients, message)

    return send_email


def message_id_of(key: str, sender: str) -> str:
    """Returns the id of a call's message: the same for each attempt, so that a second copy can be known by it."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"


def _composed(table: MailTable, sender: str, recipients: Sequence[str], subject: str, body: str) -> EmailMessage:
    if len(subject) > _LONGEST_SUBJECT or any(unicodedata.category(sign) in _NOT_IN_A_LINE for sign in subject):
        what = f"the subject is longer than {_LONGEST_SUBJECT} characters, or is not one plain line"
        raise refusal(Reason.MESSAGE_REFUSED, what)
    if len(body.encode("utf-8", "replace")) > table.body_bytes:
        raise refusal(Reason.MESSAGE_REFUSED, f"the body has more than {table.body_bytes} bytes")
    message = EmailMessage(policy=default.clone(cte_type="7bit"))
    try:
        message["From"] = Address(addr_spec=sender)
        message["To"] = tuple(Address(addr_spec=one) for one in recipients)
        message["Subject"] = subject
        message["Date"] = format_datetime(localtime())
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body)
    except ValueError:
        raise refusal(Reason.MESSAGE_REFUSED, "the message holds what no mail can") from None
    return message


def _delivered(
    table: MailTable, server: MailServer, sender: str, recipients: Sequence[str], message: EmailMessage
) -> Sent:
    client = _connected(table, server)
    try:
        refused = _envelope(client, sender, recipients)
        accepted = [one for one in recipients if one not in refused]
        _taken(client, message.as_bytes(policy=SMTP.clone(cte_type="7bit")))
    finally:
        # What the server has taken is not lost by a goodbye that fails.
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client.quit()
        client.close()
    return Sent(str(message["Message-ID"]), accepted, refused)


def _connected(table: MailTable, server: MailServer) -> smtplib.SMTP:
    """Connects and logs in; nothing is sent in the clear, unless the table says so.

    Raises:
        ToolError: `mail_failed`: the server cannot be used; nothing was sent.
    """
    client: smtplib.SMTP | None = None
    try:
        context = ssl.create_default_context()
        if server.wrapped:
            client = smtplib.SMTP_SSL(server.host, server.port, timeout=table.seconds, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=table.seconds)
            client.ehlo_or_helo_if_needed()
            # What stays on this machine needs no encryption, and is encrypted where the server can.
            if table.encrypted and (server.host not in _HERE or client.has_extn("starttls")):
                client.starttls(context=context)
        if server.user:
            client.login(server.user, server.password)
    except (OSError, smtplib.SMTPException) as error:
        if client is not None:
            client.close()
        what = _WHY.get(type(error), "the mail server cannot be reached, or its certificate does not hold")
        raise refusal(Reason.MAIL_FAILED, f"{what}; nothing was sent") from None
    return client


_WHY: Final[dict[type[BaseException], str]] = {
    smtplib.SMTPNotSupportedError: "the mail server does not encrypt, or knows no login",
    smtplib.SMTPAuthenticationError: "the mail server refuses the login",
}


def _envelope(client: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> dict[str, str]:
    """Names the sender and the recipients; returns whom the server refuses.

    Raises:
        ToolError: `mail_refused` or `mail_failed`: nobody gets the message; nothing was sent.
    """
    try:
        client.ehlo_or_helo_if_needed()
        code, words = client.mail(sender)
        if code not in _ACCEPTED:
            raise refusal(Reason.MAIL_REFUSED, f"the mail server refuses the sender: {_said(code, words)}")
        answers = {one: client.rcpt(one) for one in recipients}
    except (OSError, smtplib.SMTPException):
        raise refusal(Reason.MAIL_FAILED, "the connection broke before the message was sent") from None
    refused = {one: _said(code, words) for one, (code, words) in answers.items() if code not in _ACCEPTED}
    if len(refused) == len(recipients):
        first = next(iter(refused.values()))
        raise refusal(Reason.MAIL_REFUSED, f"the mail server refuses all recipients: {first}; nothing was sent")
    return refused


def _taken(client: smtplib.SMTP, message: bytes) -> None:
    """Hands the message over.

    Raises:
        ToolError: `mail_refused`: the server did not take it.
        OutcomeUnknownError: the connection broke meanwhile: the server may have taken it.
    """
    try:
        code, words = client.data(message)
    except smtplib.SMTPDataError as error:
        code, words = error.smtp_code, error.smtp_error
    except (OSError, smtplib.SMTPException):
        raise OutcomeUnknownError("the connection broke while the message was sent: the server may have it") from None
    if code != _ACCEPTED[0]:
        raise refusal(Reason.MAIL_REFUSED, f"the mail server did not take the message: {_said(code, words)}")


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {_STATUS.sub(' ', text)[:200]}"
