"""Recognises errors of a tool that say nothing of its effect: it may have happened.

An error is believed to say that nothing happened where it is plain (a wrong value, a missing key, a file that is not
there), of the tool's own code, or a refusal by whoever was asked. What comes out of a library, of the operating system
or of a lost process may come too late.
"""

import errno
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from subprocess import CalledProcessError
from typing import Any, cast

from backstay.errors import OutcomeUnknownError

_PLAIN = (
    *(ValueError, TypeError, LookupError, ArithmeticError, AssertionError, AttributeError, NameError),
    *(NotImplementedError, ImportError, RecursionError),
)
_LOST = (OutcomeUnknownError, EOFError, MemoryError, SystemError)
_PLAIN_OS = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
_PLAIN_ERRNO = (errno.ENAMETOOLONG, errno.EROFS, errno.ELOOP, errno.ENOTEMPTY)

# By the package of a class or of one above it, so that no library has to be installed. What could not connect stands
# here too: a tool may have sent something before, by another connection.
_PACKAGES = (
    "asyncio concurrent ftplib http imaplib multiprocessing poplib select selectors smtplib socket ssl subprocess",
    "urllib xmlrpc",
    "aiohttp aiosmtplib anyio asks curl_cffi eventlet gevent gql grpc grpclib h11 h2 httpcore httpcore2 httplib2",
    "httpx httpx2 hyper mcp niquests pycurl requests requests_toolbelt suds tenacity tornado treq trio twisted",
    "urllib3 websocket websockets zeep zmq",
    "MySQLdb aiomysql aiopg asyncmy asyncpg cassandra clickhouse_connect clickhouse_driver cx_Oracle mariadb motor",
    "mysql neo4j oracledb peewee pg8000 psycopg psycopg2 pymongo pymssql pymysql pyodbc redis snowflake sqlalchemy",
    "sqlite3 tortoise valkey",
    "aio_pika aiokafka aiormq celery confluent_kafka kafka kombu nats paho pika pulsar",
    "anthropic azure boto3 botocore docker elastic_transport elasticsearch github google googleapiclient hvac",
    "kubernetes ldap3 openai opensearchpy s3transfer sendgrid slack_sdk stripe telegram twilio",
    "asyncssh fabric invoke paramiko pexpect ptyprocess pysftp",
)
_OUTSIDE = frozenset(package for line in _PACKAGES for package in line.split())
# Those among them that run what others wrote, or only read an address: a plain error that passes there is not theirs.
_RUN_OTHERS = {"anyio", "asyncio", "concurrent", "eventlet", "gevent", "multiprocessing", "tenacity", "trio"}
_READ_ADDRESSES = ("urllib.parse", "http.cookies", "http")
_REFUSED_STATEMENT = "DataError IntegrityError NotSupportedError ProgrammingError"
# Errors of those packages that say that nothing was done: it was never sent, or was refused.
_PLAIN_NAMES: Mapping[str, frozenset[str]] = {
    package: frozenset(names.split())
    for packages, names in {
        "requests niquests": "InvalidHeader InvalidJSONError InvalidProxyURL InvalidSchema InvalidURL MissingSchema",
        "httpx httpx2": "InvalidURL UnsupportedProtocol LocalProtocolError",
        "aiohttp": "InvalidURL NonHttpUrlClientError",
        "urllib3": "LocationParseError LocationValueError URLSchemeUnknown",
        "http": "InvalidURL",
        "smtplib": "SMTPAuthenticationError SMTPNotSupportedError SMTPRecipientsRefused SMTPSenderRefused",
        "ftplib": "error_perm",
        "psycopg psycopg2 pymysql MySQLdb mysql mariadb oracledb pyodbc pg8000 peewee tortoise": _REFUSED_STATEMENT,
        "sqlite3": _REFUSED_STATEMENT,
        "sqlalchemy": f"{_REFUSED_STATEMENT} ArgumentError CompileError InvalidRequestError",
        "asyncpg": "DataError IntegrityConstraintViolationError SyntaxOrAccessError",
        "redis valkey": "DataError ResponseError",
        "pymongo": "InvalidDocument InvalidOperation OperationFailure",
        "botocore": "NoCredentialsError ParamValidationError",
    }.items()
    for package in packages.split()
}
# Those among them, and of packages that are not outside, that say nothing all the same.
_UNCLEAR_NAMES: Mapping[str, frozenset[str]] = {
    package: frozenset(names.split())
    for package, names in {
        "requests": "JSONDecodeError",
        "niquests": "JSONDecodeError",
        # A reply that cannot be read came after the request; nobody answering in time is no answer either.
        "json": "JSONDecodeError",
        "builtins": "UnicodeDecodeError",
        "zlib": "error",
        "_lzma": "LZMAError",
        "_pickle": "UnpicklingError",
        "struct": "error",
        "xml": "ParseError ExpatError",
        "queue": "Empty Full",
        "_queue": "Empty",
        "threading": "BrokenBarrierError",
        "pymongo": "ExecutionTimeout WTimeoutError WriteConcernError",
        "django": "DatabaseError InterfaceError OperationalError",
        "temporalio": "RPCError",
    }.items()
}

_GAVE_UP = frozenset({408, 421, 499})
_REFUSED = frozenset(
    {"ABORTED", "ALREADY_EXISTS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE"}
    | {"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "UNIMPLEMENTED"}
)
_REFUSED_BY_SQLITE = re.compile("SQLITE_(AUTH|BUSY|CANTOPEN|CONSTRAINT|ERROR|LOCKED|MISMATCH|READONLY|SCHEMA|TOOBIG)")
_SMTP = "smtp_code"
_STATUS_NAMES = (_SMTP, "status_code", "status", "http_status", "code")
_INSTALLED = ("site-packages", "dist-packages")
_HIGHEST_EXIT = 123
"""Exit codes of `timeout`, a shell or a signal lie above it, and below zero."""
_CLIENTS = re.compile(
    r"\b(?:aws|az|curl|docker|ftp|gcloud|git|gh|grpcurl|http|https|kubectl|mysql|nc|ncat|psql|redis-cli|rsync|scp|sftp|ssh"
    r"|sendmail|wget)\b"
)


def says_nothing(error: BaseException) -> bool:
    """Tells whether an error, one it holds or one it came from leaves open what the tool has done."""
    return any(_is_unclear(one) for one in _all(error, set()))


def _all(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """Yields an error with its causes, its contexts, the members of groups, and the errors it was made with."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    # Also a context that `from None` hides: it hides the words, and undoes nothing.
    for inner in (error.__cause__, error.__context__):
        yield from _all(inner, seen)
    members = (
        cast("BaseExceptionGroup[BaseException]", error).exceptions if isinstance(error, BaseExceptionGroup) else ()
    )
    for member in (*members, *(one for one in error.args if isinstance(one, BaseException))):
        yield from _all(member, seen)


def _is_unclear(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return False  # its members are looked at
    if isinstance(error, CalledProcessError):
        return not 0 < error.returncode <= _HIGHEST_EXIT or _CLIENTS.search(str(error.cmd)) is not None
    if (outside := _comes_from_outside(error)) is not None:
        return outside and not _is_refusal(error)
    if isinstance(error, OSError):
        return not isinstance(error, _PLAIN_OS) and error.errno not in _PLAIN_ERRNO
    if isinstance(error, _LOST) or not isinstance(error, Exception):
        return True
    installed = any(map(_is_installed, type(error).__mro__))
    return _is_raised_outside(error) if isinstance(error, _PLAIN) or not installed else True


def _is_raised_outside(error: BaseException) -> bool:
    """Tells whether a plain error was raised inside a library that does input and output, as by a reply it cannot read.

    Of the places that an error came by the last one tells, that is of a package which could be asked.
    """
    frames = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    for module in reversed(frames):
        package = module.partition(".")[0]
        if package in _OUTSIDE - _RUN_OTHERS and module not in _READ_ADDRESSES:
            return True
        if package not in sys.stdlib_module_names:
            return False
    return False


def _comes_from_outside(error: BaseException) -> bool | None:
    """Tells whether an error of a package that does input and output may come too late; None for any other error."""
    kinds = [(kind.__module__.partition(".")[0], kind.__qualname__) for kind in type(error).__mro__]
    for package, name in kinds:
        if name in _UNCLEAR_NAMES.get(package, ()):
            return True
        if name in _PLAIN_NAMES.get(package, ()):
            return False
    return True if any(package in _OUTSIDE for package, _ in kinds) else None


def _is_installed(kind: type) -> bool:
    """Tells whether a class is of an installed library; the project's own classes are not."""
    package = kind.__module__.partition(".")[0]
    places = (getattr(sys.modules.get(name), "__file__", None) for name in (kind.__module__, package))
    parts = {part for place in places if place for part in PurePath(place).parts}
    return package != "backstay" and not parts.isdisjoint(_INSTALLED)


def _is_refusal(error: BaseException) -> bool:
    """Tells whether an error carries a reply that says that nothing was done: a status of HTTP, SMTP or gRPC."""
    try:
        found = list(_statuses(error))
    except Exception:
        return False
    numbers = [status for name, status in found if isinstance(status, int) and name != _SMTP]
    by_http = bool(numbers) and all(400 <= number < 500 and number not in _GAVE_UP for number in numbers)
    by_sqlite = _REFUSED_BY_SQLITE.match(str(getattr(error, "sqlite_errorname", ""))) is not None
    by_mail = any(name == _SMTP and status not in _GAVE_UP for name, status in found)
    return by_http or by_mail or by_sqlite or any(getattr(status, "name", None) in _REFUSED for _, status in found)


def _statuses(error: BaseException) -> Iterator[tuple[str, object]]:
    """Yields what may be the status of the reply that an error carries: of each carrier its most telling name."""
    for carrier in (error, getattr(error, "response", None), getattr(error, "resp", None)):
        for name in _STATUS_NAMES:
            found: Any = getattr(carrier, name, None)
            if found is not None:
                yield name, found() if callable(found) else found
                break
        if isinstance(carrier, Mapping):  # as botocore has it
            reply = cast("Mapping[str, Any]", carrier)
            yield "status", reply.get("ResponseMetadata", {}).get("HTTPStatusCode")
