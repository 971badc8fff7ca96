"""Addresses of webhooks are secrets: no error, log or text of ours holds any part of one."""

import logging
import traceback
from typing import Any

import pytest
from aiohttp import web

from backstay.adapters.notice.webhook import Webhooks
from backstay.adapters.secret.store import Secrets
from backstay.errors import ConfigurationError, NoticeError, SecretError

TOKEN = "T0KEN-of-the-hook-93d1"
KEY = "long-secret"


def hooks(address: str, environment: dict[str, str] | None = None) -> tuple[Webhooks, Secrets]:
    secrets = Secrets(environment=environment or {})
    return Webhooks({"clerk": address}, KEY, secrets), secrets


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:1/services/{TOKEN}",
        f"http://user:{TOKEN}@127.0.0.1:1/hook",
        f"http://no such host/{TOKEN}",
        f"http://[::1/{TOKEN}",
        f"http://x..y.invalid/{TOKEN}",
        f"http://127.0.0.1:99999/{TOKEN}",
        f"https://127.0.0.1:1/hook?token={TOKEN}",
    ],
)
async def test_no_error_of_a_notice_holds_any_part_of_the_address(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((NoticeError, SecretError, ConfigurationError)) as caught:
        await hooks(address)[0].send("clerk", {"event": "opened"})
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert TOKEN not in said
    assert caught.value.__context__ is None or TOKEN not in str(caught.value.__context__)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_answer_that_is_no_yes_is_named_without_the_address(status: int) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post(f"/{TOKEN}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/{TOKEN}"
    with pytest.raises(NoticeError, match=f"the webhook of agent `clerk` answers {status}") as caught:
        await hooks("secret:HOOK", {"HOOK": address})[0].send("clerk", {})
    await runner.cleanup()
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("written", ["plain", "reference"])
@pytest.mark.parametrize("shown", ["{0}", "url='{0}'", "POST /services/{1} HTTP/1.1", "token {1}"])
def test_texts_never_show_an_address_or_what_gives_it_away(written: str, shown: str) -> None:
    address = f"https://hooks.example/services/{TOKEN}"
    given: tuple[Any, ...] = (address,) if written == "plain" else ("secret:HOOK", {"HOOK": address})
    _, secrets = hooks(*given)
    assert TOKEN not in secrets.scrubbed(shown.format(address, TOKEN))


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, "no secret `HOOK`"), ({"HOOK": "ftp://hooks.example/x"}, "no web address"), ({"HOOK": "abc"}, "less than")],
)
def test_a_reference_that_leads_to_no_address_keeps_a_worker_from_starting(
    environment: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        hooks("secret:HOOK", environment)
    assert "`approval.notify`" in str(caught.value)
    assert "hooks.example" not in str(caught.value)


def test_an_address_without_a_secret_to_sign_with_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="BACKSTAY_WEBHOOK_SECRET"):
        Webhooks({"clerk": "https://hooks.example/x"}, None, Secrets(environment={}))


async def test_an_agent_without_an_address_is_told_nothing() -> None:
    await hooks("https://hooks.example/x")[0].send("other", {})
