"""Writes e-mail from the shop and delivers it over SMTP.

`SHOP_SMTP` ("host:port") names the mail server. Without it the first message starts a server on a free
loopback port that puts every message into the maildir `<home>/maildir`, where it can be read and counted.
"""

import asyncio
import re
import smtplib
import threading
import unicodedata
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from os import environ
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox

from backstay.tools import OutcomeUnknownError, ToolError

from .shop import home

SENDER = "Shop Support <support@example.com>"
SENDER_DOMAIN = "example.com"
TIMEOUT_SECONDS = 20.0

ONE_ADDRESS = re.compile(r"""[^\s@<>()\[\],;:"\\]{1,64}@[^\s@<>()\[\],;:"\\]{1,255}""")
LINE_BREAKS_AND_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
REFUSED = (
    smtplib.SMTPHeloError,
    smtplib.SMTPSenderRefused,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPDataError,
    smtplib.SMTPNotSupportedError,
)

_local_lock = threading.Lock()
_local_servers: dict[Path, str] = {}
_running = ExitStack()


class _FreePortController(Controller):
    """Listens on a free port when given port 0: learns the port before it probes its own server."""

    port: int

    def _trigger_server(self) -> None:
        if isinstance(self.server, asyncio.Server):
            self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def compose(to: str, subject: str, body: str, message_id: str | None = None) -> EmailMessage:
    """Writes a plain-text message from the shop to exactly one address.

    Raises:
        ToolError: `to` is not one plain address, `to` or `subject` holds a line break or control character,
            or the text is not Unicode.
    """
    if not _fits_on_one_line(to) or not _fits_on_one_line(subject):
        raise ToolError("the recipient and the subject must not contain line breaks or control characters")
    if ONE_ADDRESS.fullmatch(to) is None:
        raise ToolError("the recipient must be one plain address such as `ann@example.com`")
    message = EmailMessage()
    try:
        message["From"] = SENDER
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = message_id or make_msgid(domain=SENDER_DOMAIN)
        message.set_content(body)
    except ValueError as error:
        raise ToolError("the message holds text that cannot be sent; nothing was sent") from error
    return message


def deliver(message: EmailMessage) -> str:
    """Hands the message to the mail server and returns its Message-ID.

    Raises:
        ToolError: the message was certainly not sent: no server could be reached, or the server refused it.
        OutcomeUnknownError: the connection broke while sending; the server may have taken the message.
    """
    try:
        host, port = _mail_server()
        client = smtplib.SMTP(host, port, local_hostname="localhost", timeout=TIMEOUT_SECONDS)
    except OSError as error:
        raise ToolError("the mail server cannot be reached; nothing was sent") from error
    try:
        client.send_message(message)
    except REFUSED as error:
        raise ToolError("the mail server refused the message; nothing was sent") from error
    except OSError as error:
        raise OutcomeUnknownError("the connection broke while the message was sent") from error
    finally:
        # The server has taken the message: a goodbye that fails must not turn it into a lost one.
        with suppress(OSError):
            client.quit()
        client.close()
    return str(message["Message-ID"])


def is_local() -> bool:
    """Tells whether mail goes to the server on this machine, where the mailbox can be read."""
    return not environ.get("SHOP_SMTP")


def recipient_of(message_id: str) -> str | None:
    """Returns the recipient of a message by its id; None if the local mailbox does not have it."""
    for folder in ("new", "cur"):
        for file in (home() / "maildir" / folder).glob("*"):
            message = message_from_bytes(file.read_bytes())
            if message["Message-ID"] == message_id:
                return str(message["To"])
    return None


@contextmanager
def serve_maildir(path: Path) -> Generator[str]:
    """Runs a loopback mail server that keeps each message in the maildir `path`; yields its "host:port"."""
    for part in ("tmp", "new", "cur"):
        (path / part).mkdir(parents=True, exist_ok=True)
    controller = _FreePortController(Mailbox(path), hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield f"{controller.hostname}:{controller.port}"
    finally:
        controller.stop()


def _mail_server() -> tuple[str, int]:
    host, colon, port = (environ.get("SHOP_SMTP") or _local_server(home() / "maildir")).rpartition(":")
    if not host or not colon or not port.isdecimal():
        raise ToolError("`SHOP_SMTP` must be `host:port`; nothing was sent")
    return host, int(port)


def _local_server(path: Path) -> str:
    with _local_lock:
        address = _local_servers.get(path.absolute())
        if address is None:
            address = _running.enter_context(serve_maildir(path))
            _local_servers[path.absolute()] = address
        return address


def _fits_on_one_line(text: str) -> bool:
    return not any(unicodedata.category(character) in LINE_BREAKS_AND_CONTROLS for character in text)
