"""Errors that say nothing of what a tool has done, of libraries that are here and of some that are not."""

import asyncio
import concurrent.futures
import contextlib
import errno
import ftplib
import http.client
import json
import lzma
import pickle
import queue
import smtplib
import socket
import sqlite3
import ssl
import struct
import subprocess
import threading
import types
import urllib.error
import urllib.parse
import zlib
from collections.abc import Callable
from email.message import Message
from enum import Enum
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree

import aiohttp
import httpx2
import hypothesis.errors
import openai
import pydantic_core
import pytest
import requests
import urllib3
from temporalio.service import RPCError, RPCStatusCode
from yarl import URL

from activities.unclear import says_nothing
from backstay.errors import OutcomeUnknownError

REQUEST = httpx2.Request("POST", "https://bank.example/charges")
CONNECTION: Any = None
OF_THE_NETWORK = (
    *("EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ENETRESET", "ENOTCONN", "ESHUTDOWN", "EBADF"),
    *("EIO", "EAGAIN", "EINTR", "ENOBUFS", "ENOSPC"),
)


def of(package: str, name: str, *bases: type[Exception]) -> Exception:
    """An error as a library raises it that is not installed here."""
    return type(name, bases or (Exception,), {"__module__": package})("lost")


def reply(status: int) -> list[Exception]:
    """The errors by which libraries tell a status of HTTP."""
    response = requests.Response()
    response.status_code = status
    info = aiohttp.RequestInfo(URL("https://bank.example"), "POST", Any, URL("https://bank.example"))  # pyright: ignore
    answer = httpx2.Response(status, request=REQUEST)
    return [
        httpx2.HTTPStatusError("no", request=REQUEST, response=answer),
        requests.HTTPError("no", response=response),
        aiohttp.ClientResponseError(info, (), status=status),
        urllib.error.HTTPError("https://bank.example", status, "no", Message(), None),
        openai.APIStatusError("no", response=answer, body=None),  # pyright: ignore[reportArgumentType]
    ]


def declined() -> Exception:
    """As Stripe tells of a card."""
    error: Any = of("stripe._error", "CardError")
    error.code, error.http_status = "card_declined", 402
    return error


def refused_by_aws() -> Exception:
    """As botocore tells of a reply."""
    error: Any = of("botocore.exceptions", "ClientError")
    error.response = {"Error": {"Code": "ValidationError"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return error


class GrpcStatus(Enum):
    """As gRPC's own."""

    UNAVAILABLE = (14, "unavailable")
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    INVALID_ARGUMENT = (3, "invalid argument")
    ALREADY_EXISTS = (6, "already exists")


def grpc(status: GrpcStatus) -> Exception:
    base = type("RpcError", (Exception,), {"__module__": "grpc"})
    return type("_InactiveRpcError", (base,), {"__module__": "grpc._channel", "code": lambda self: status})()


def wrapped(inner: BaseException, way: str) -> ValueError:
    """An error of the tool's own around another."""
    try:
        try:
            raise inner
        except BaseException as error:
            if way == "from":
                raise ValueError("the charge failed") from error
            if way == "from None":
                raise ValueError("the charge failed") from None
            raise ValueError("the charge failed")  # noqa: B904
    except ValueError as outer:
        return outer


UNCLEAR: dict[str, BaseException] = {
    "a timeout": TimeoutError("slow"),
    "a timeout of asyncio": TimeoutError(),
    "a timeout of a socket": TimeoutError("timed out"),
    "a reset": ConnectionResetError(),
    "a refused connection": ConnectionRefusedError(),
    "a broken pipe": BrokenPipeError(),
    "an end of the stream": asyncio.IncompleteReadError(b"", 4),
    "a cancellation not asked for": asyncio.CancelledError(),
    "a cancelled future": concurrent.futures.CancelledError(),
    "a process pool that broke": concurrent.futures.BrokenExecutor(),
    "a command that took too long": subprocess.TimeoutExpired("pay", 5),
    "no such host": socket.gaierror(),
    "an error of TLS": ssl.SSLError("record layer failure"),
    "httpx2 reads": httpx2.ReadError("", request=REQUEST),
    "httpx2 writes": httpx2.WriteError("", request=REQUEST),
    "httpx2 waits to read": httpx2.ReadTimeout("", request=REQUEST),
    "httpx2 waits to write": httpx2.WriteTimeout("", request=REQUEST),
    "httpx2 connects": httpx2.ConnectError("", request=REQUEST),
    "httpx2 waits for its pool": httpx2.PoolTimeout("", request=REQUEST),
    "httpx2 hears nonsense": httpx2.RemoteProtocolError("", request=REQUEST),
    "httpx2 cannot decode": httpx2.DecodingError("", request=REQUEST),
    "httpx": of("httpx", "RemoteProtocolError", type("RequestError", (Exception,), {"__module__": "httpx"})),
    "aiohttp is left": aiohttp.ServerDisconnectedError(),
    "aiohttp gets half a body": aiohttp.ClientPayloadError(),
    "aiohttp waits": aiohttp.ServerTimeoutError(),
    "aiohttp's system": aiohttp.ClientOSError(104, "reset"),
    "requests connects": requests.ConnectionError(),
    "requests waits": requests.ReadTimeout(),
    "requests gets half a body": requests.exceptions.ChunkedEncodingError(),
    "urllib3 waits": urllib3.exceptions.ReadTimeoutError(CONNECTION, "/", "slow"),
    "urllib3 hears nonsense": urllib3.exceptions.ProtocolError("aborted"),
    "urllib3 tried often": urllib3.exceptions.MaxRetryError(CONNECTION, "/"),
    "urllib waits": urllib.error.URLError(TimeoutError("timed out")),
    "http.client is left": http.client.RemoteDisconnected("gone"),
    "http.client gets half a body": http.client.IncompleteRead(b"{"),
    "http.client hears nonsense": http.client.BadStatusLine("HTP/1.1"),
    "a mail server that leaves": smtplib.SMTPServerDisconnected(),
    "an API out of reach": openai.APIConnectionError(request=REQUEST),  # pyright: ignore[reportArgumentType]
    "an API out of time": openai.APITimeoutError(request=REQUEST),  # pyright: ignore[reportArgumentType]
    "gRPC is unavailable": grpc(GrpcStatus.UNAVAILABLE),
    "gRPC is out of time": grpc(GrpcStatus.DEADLINE_EXCEEDED),
    "Temporal is out of time": RPCError("slow", RPCStatusCode.DEADLINE_EXCEEDED, b""),
    "postgres is lost": of("psycopg2", "OperationalError"),
    "postgres is lost in three": of("psycopg.errors", "AdminShutdown", type(of("psycopg", "OperationalError"))),
    "mysql is lost": of("pymysql.err", "OperationalError"),
    "asyncpg is lost": of("asyncpg.exceptions", "PostgresConnectionError"),
    "redis is lost": of("redis.exceptions", "ConnectionError"),
    "mongo is lost": of("pymongo.errors", "AutoReconnect", type(of("pymongo.errors", "ConnectionFailure"))),
    "boto waits": of("botocore.exceptions", "ReadTimeoutError", type(of("botocore.exceptions", "HTTPClientError"))),
    "the author's word": OutcomeUnknownError("no answer"),
    **{f"the system says {name}": OSError(getattr(errno, name), "x") for name in OF_THE_NETWORK},
    "the system says nothing": OSError("x"),
    "an exit": SystemExit(3),
    "an interrupt": KeyboardInterrupt(),
    "a generator that was closed": GeneratorExit(),
    "no memory": MemoryError(),
    "http.client gives up": http.client.HTTPException("got more than 100 headers"),
    "http.client is lost": http.client.ResponseNotReady(),
    "a stream without an end": asyncio.LimitOverrunError("x", 1),
    "a command that was killed": subprocess.CalledProcessError(-9, "pay"),
    "a command that a shell saw killed": subprocess.CalledProcessError(137, "pay"),
    "a command that ran out of time": subprocess.CalledProcessError(124, ["timeout", "5", "pay"]),
    "a command that asks a server": subprocess.CalledProcessError(28, ["curl", "-d", "x", "bank.example"]),
    "a command that asks by a shell": subprocess.CalledProcessError(1, "sh -c 'ssh bank pay'"),
    "a mail server that stops": smtplib.SMTPDataError(421, b"closing"),
    "a mail server that breaks": ftplib.error_temp("426 aborted"),
    "requests' base": requests.RequestException(),
    "requests in a circle": requests.TooManyRedirects(),
    "requests cannot read the reply": requests.JSONDecodeError("x", "", 0),
    "a reply that is no JSON": json.JSONDecodeError("x", "", 0),
    "a reply that is no text": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
    "a reply that does not unpack": zlib.error("x"),
    "a reply that does not unpack either": lzma.LZMAError("x"),
    "a reply that is no object": pickle.UnpicklingError("x"),
    "a reply of another length": struct.error("x"),
    "a reply that is no XML": ElementTree.ParseError("x"),
    "an answer that did not come in time": queue.Empty(),
    "a request that nobody took in time": queue.Full(),
    "somebody who did not come": threading.BrokenBarrierError(),
    "a wrong value around a reply": wrapped(json.JSONDecodeError("x", "", 0), "from None"),
    "aiohttp's base": aiohttp.ClientError(),
    "urllib3 finds no host": urllib3.exceptions.NewConnectionError(CONNECTION, "x"),
    "urllib3 gets a bad reply": urllib3.exceptions.ResponseError("too many 500 error responses"),
    "openai's base": openai.OpenAIError("x"),
    **{
        f"{package}'s {name}": of(package, name, *bases)
        for package, name, *bases in (
            ("httpx", "HTTPError"),
            ("tornado.iostream", "StreamClosedError", OSError),
            ("pycurl", "error"),
            ("stripe._error", "APIError"),
            ("stripe._error", "APIConnectionError"),
            ("mcp.shared.exceptions", "McpError"),
            ("sqlalchemy.exc", "OperationalError"),
            ("sqlalchemy.exc", "DBAPIError"),
            ("django.db.utils", "OperationalError"),
            ("niquests.exceptions", "Timeout", OSError),
            ("curl_cffi.requests.exceptions", "RequestsError", OSError),
            ("twilio.base.exceptions", "TwilioException"),
            ("botocore.exceptions", "ClientError"),
            ("tenacity", "RetryError"),
        )
    },
    "an installed library's own": hypothesis.errors.HypothesisException("x"),
    "in the arguments": RuntimeError("the charge failed", TimeoutError()),
    "alone in the arguments": ValueError(TimeoutError("slow")),
    "in the arguments of a cause": wrapped(RuntimeError(ConnectionResetError()), "from"),
    "a kind of one's own": type("BankSlow", (TimeoutError,), {})(),
    "in a group": ExceptionGroup("both", [ValueError("x"), TimeoutError("slow")]),
    "in a group of groups": BaseExceptionGroup("all", [ExceptionGroup("two", [ConnectionResetError()])]),
    "as the cause": wrapped(TimeoutError("slow"), "from"),
    "as the context": wrapped(httpx2.ReadError("", request=REQUEST), "while"),
    "as a hidden context": wrapped(ConnectionResetError(), "from None"),
    "as the cause of a cause": wrapped(wrapped(TimeoutError(), "from"), "from"),
    "as a cause in a group": ExceptionGroup("one", [wrapped(TimeoutError(), "from")]),
}
CLEAR: dict[str, BaseException] = {
    "a tool's own kind": type("NoSuchOrder", (Exception,), {"__module__": "shop.errors"})(),
    "a tool's own words": RuntimeError("the order is closed"),
    "any exception": Exception("no"),
    "a failed check": AssertionError(),
    "a directory": IsADirectoryError(errno.EISDIR, "x"),
    "a file system that is read only": OSError(errno.EROFS, "x"),
    "text that is no UTF-8 to write": UnicodeEncodeError("ascii", "ä", 0, 1, "x"),
    "a library's wrong value": pydantic_core.PydanticCustomError("x", "no"),
    "an address that is none": requests.exceptions.MissingSchema(),
    "an address that is none for httpx2": httpx2.InvalidURL("x"),
    "a card that is declined": declined(),
    "a request that AWS refuses": refused_by_aws(),
    "a row that is there": of("sqlalchemy.exc", "IntegrityError", type(of("sqlalchemy.exc", "DBAPIError"))),
    "a mail address that is refused": smtplib.SMTPRecipientsRefused({}),
    "a wrong value": ValueError("no such order"),
    "a missing key": KeyError("order"),
    "a bug": ZeroDivisionError(),
    "a file that is not there": FileNotFoundError(),
    "a right that is missing": PermissionError(),
    "a wrapped wrong value": wrapped(KeyError("order"), "from"),
    "a group of wrong values": ExceptionGroup("both", [ValueError("x"), KeyError("y")]),
    "a mail server that refuses": smtplib.SMTPDataError(550, "no"),
    "a command that failed": subprocess.CalledProcessError(1, "pay"),
    "gRPC refuses": grpc(GrpcStatus.INVALID_ARGUMENT),
    "gRPC has it already": grpc(GrpcStatus.ALREADY_EXISTS),
    "Temporal refuses": RPCError("no", RPCStatusCode.NOT_FOUND, b""),
    "somebody else's class of that name": of("shop.errors", "ReadError"),
    "a statement that is wrong": of("psycopg2.errors", "SyntaxError", type(of("psycopg2", "ProgrammingError"))),
}


@pytest.mark.parametrize("error", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_an_error_that_says_nothing_of_the_effect_is_known(error: BaseException) -> None:
    assert says_nothing(error)


@pytest.mark.parametrize("error", CLEAR.values(), ids=CLEAR.keys())
def test_an_error_that_says_what_is_wrong_is_a_failure(error: BaseException) -> None:
    assert not says_nothing(error)


def raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the caller's matter
        call()
    return caught.value


def of_sqlite(*statements: str) -> Exception:
    connection = sqlite3.connect(":memory:")
    with contextlib.closing(connection):
        return raised(lambda: [connection.execute(statement) for statement in statements])


@pytest.mark.parametrize(
    "error",
    [
        of_sqlite("insert into nothing values (1)"),
        of_sqlite("select from"),
        of_sqlite("pragma query_only = on", "create table t (a)"),
        of_sqlite("create table t (a unique)", "insert into t values (1), (1)"),
    ],
    ids=str,
)
def test_a_statement_that_a_database_refuses_did_nothing(error: Exception) -> None:
    assert not says_nothing(error)


def test_a_database_that_is_full_or_breaks_says_nothing() -> None:
    assert says_nothing(of_sqlite("pragma max_page_count = 1", "create table t (a)", "create table u (a)"))
    assert says_nothing(sqlite3.OperationalError("disk I/O error"))
    assert says_nothing(sqlite3.DatabaseError("database disk image is malformed"))


def read_length(text: str) -> int:
    return int(text)


def test_a_plain_error_inside_a_library_that_asked_somebody_says_nothing() -> None:
    library = types.ModuleType("stripe.api")
    exec(
        "import json\ndef post(read): return read({}['charge'])\ndef lent(read): return read('no number')",
        vars(library),
    )
    assert says_nothing(raised(lambda: library.post(read_length)))
    assert not says_nothing(raised(lambda: library.lent(read_length)))  # of the tool's own code, which the library runs
    assert not says_nothing(raised(lambda: urllib.parse.urlsplit("https://[bank")))


async def test_a_plain_error_of_a_tool_that_waits_is_the_tools_own() -> None:
    async def tool() -> int:
        return read_length("no number")

    with pytest.raises(ValueError, match="no number") as caught:
        await asyncio.wait_for(asyncio.gather(tool()), 5)
    assert not says_nothing(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, HTTPStatus.BAD_REQUEST])
def test_a_reply_that_refuses_says_that_nothing_was_done(status: int) -> None:
    assert not any(map(says_nothing, reply(status)))


@pytest.mark.parametrize("status", [200, 408, 499, 500, 502, 503, 504, 524])
def test_a_reply_that_gives_up_says_nothing_of_the_effect(status: int) -> None:
    assert all(map(says_nothing, reply(status)))


def test_an_error_whose_reply_cannot_be_read_says_nothing() -> None:
    def lost(self: object) -> int:
        raise RuntimeError("closed")

    kind = type("HTTPError", (Exception,), {"__module__": "requests.exceptions", "status_code": property(lost)})
    assert says_nothing(kind())


def test_errors_that_cause_each_other_are_looked_at_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not says_nothing(one)
