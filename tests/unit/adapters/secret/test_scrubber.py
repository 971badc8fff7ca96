"""Known secrets are taken out of texts, values and log records."""

import base64
import html
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.adapters.secret.scrubber import Scrubber, ScrubbingFilter, scrubbed_logs, scrubbed_output

VALUE = 'pä$$ "w0rd"/+&?\\'


def knowing(*values: str) -> Scrubber:
    scrubber = Scrubber()
    for value in values:
        scrubber.learn("TOKEN", value)
    return scrubber


@pytest.mark.parametrize(
    "text",
    [
        VALUE,
        json.dumps({"token": VALUE}),
        json.dumps({"token": VALUE}, ensure_ascii=False),
        repr({"token": VALUE}),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote(VALUE).lower(),
        quote_plus(VALUE),
        urlencode({"token": VALUE}),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode().rstrip("="),
        base64.b64encode(f"user:{VALUE}".encode()).decode(),
        base64.b64encode(f"a{VALUE}zz".encode()).decode(),
        base64.encodebytes(VALUE.encode()).decode().strip(),
        base64.b64encode(json.dumps({"token": VALUE}).encode()).decode(),
        base64.b64encode(json.dumps({"token": VALUE}, ensure_ascii=False).encode()).decode(),
        repr(VALUE.encode()),
        html.escape(VALUE),
        html.escape(VALUE, quote=False),
        VALUE.encode().hex(),
        base64.b32encode(VALUE.encode()).decode(),
        base64.b32encode(VALUE.encode()).decode().rstrip("=").lower(),
        base64.b32encode(f"user:{VALUE}!".encode()).decode(),
        VALUE.encode("utf-7").decode(),
        re.sub(r"(\W)", r"`\1", VALUE),
    ],
)
def test_a_secret_is_found_in_every_spelling(text: str) -> None:
    clean = knowing(VALUE).text(f"before {text} after")
    assert "[secret TOKEN]" in clean
    assert text not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")


@pytest.mark.parametrize(("encode", "group"), [(base64.b64encode, 4), (base64.b32encode, 8)])
@given(st.binary(max_size=9), st.text(st.characters(codec="utf-8"), min_size=6, max_size=30), st.binary(max_size=9))
def test_a_secret_within_base64_or_base32_is_found_wherever_it_stands(
    encode: Callable[[bytes], bytes], group: int, before: bytes, value: str, after: bytes
) -> None:
    text = encode(before + value.encode() + after).decode()
    clean = knowing(value).text(text)
    assert "[secret TOKEN]" in clean
    assert len(clean.replace("[secret TOKEN]", "")) <= len(encode(before + after)) + group


def test_a_value_that_is_base64_as_a_whole_leaves_nothing_behind() -> None:
    assert knowing("abcdefg").text(base64.b64encode(b"abcdefg").decode()) == "[secret TOKEN]"


def test_a_text_without_secrets_stays_the_same_object() -> None:
    text = "nothing in it"
    assert knowing(VALUE).text(text) is text


def test_a_value_that_begins_with_another_is_taken_out_whole() -> None:
    scrubber = Scrubber()
    scrubber.learn("SHORT", "abcdef")
    scrubber.learn("LONG", "abcdefghi")
    assert scrubber.text("abcdefghi abcdef") == "[secret LONG] [secret SHORT]"


def test_no_part_stays_of_two_values_that_overlap() -> None:
    scrubber = Scrubber()
    scrubber.learn("ONE", "abcdefghi")
    scrubber.learn("TWO", "ghijklmno")
    assert scrubber.text("x abcdefghijklmno y ghijklmno") == "x [secret ONE] y [secret TWO]"


def test_a_value_that_is_a_word_of_the_mark_does_not_break_it() -> None:
    assert knowing("secret", "longer-secret-value").text("longer-secret-value") == "[secret TOKEN]"


def test_a_short_value_is_not_taken_out_and_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert knowing("abc").text("abcdef") == "abcdef"
    assert "`TOKEN` has less than 6 characters" in caplog.text


def test_a_single_line_of_a_key_of_several_lines_is_found() -> None:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\nshort\n-----END PRIVATE KEY-----"
    scrubber = knowing(pem)
    assert scrubber.text(f"line: {body}") == "line: [secret TOKEN]"
    assert scrubber.text(json.dumps(pem)) == '"[secret TOKEN]"'
    assert scrubber.text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_earlier_values_stay_known_up_to_a_number() -> None:
    scrubber = knowing(*(f"value-number-{number:02}" for number in range(30)))
    assert scrubber.text("value-number-29 value-number-10") == "[secret TOKEN] [secret TOKEN]"
    assert scrubber.text("value-number-09") == "value-number-09"


def test_values_within_values_are_found() -> None:
    found = knowing(VALUE).value({"a": [VALUE, 1, (VALUE,)], VALUE: None})
    assert found == {"a": ["[secret TOKEN]", 1, ("[secret TOKEN]",)], "[secret TOKEN]": None}


def test_it_is_safe_to_learn_in_many_threads() -> None:
    scrubber = Scrubber()
    threads = [
        threading.Thread(target=lambda number=number: scrubber.learn(f"T{number}", f"value-{number:03}"))
        for number in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(scrubber.text(f"value-{number:03}") == f"[secret T{number}]" for number in range(50))


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger with a handler of its own."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger("tests.scrubber")
    logger.addHandler(handler)
    yield logger, written
    logger.removeHandler(handler)


Log = tuple[logging.Logger, io.StringIO]


def test_messages_arguments_and_tracebacks_are_scrubbed(log: Log) -> None:
    logger, written = log
    with scrubbed_logs(knowing(VALUE)):
        logger.warning(f"in the message {VALUE}")
        logger.warning("in an argument %s %s", VALUE, {"token": VALUE})
        try:
            raise ValueError(VALUE)
        except ValueError:
            logger.exception("in a traceback")
    assert "w0rd" not in written.getvalue()
    assert written.getvalue().count("[secret TOKEN]") == 4
    assert "Traceback" in written.getvalue()


def test_a_message_that_cannot_be_formatted_is_scrubbed_too(log: Log) -> None:
    logger, written = log
    with scrubbed_logs(knowing(VALUE)):
        logger.warning("%d " + VALUE, VALUE)
    assert "w0rd" not in written.getvalue()


def test_extra_fields_are_scrubbed() -> None:
    record = logging.makeLogRecord({"msg": "x", "context": {"token": VALUE}})
    assert ScrubbingFilter(knowing(VALUE)).filter(record)
    assert record.__dict__["context"] == {"token": "[secret TOKEN]"}


def test_an_extra_field_that_contains_itself_does_not_stop_the_log() -> None:
    endless: list[object] = [VALUE]
    endless.append(endless)
    record = logging.makeLogRecord({"msg": "x", "context": endless})
    assert ScrubbingFilter(knowing(VALUE)).filter(record)
    assert record.__dict__["context"] == "(nested too deeply)"


def test_a_record_without_secrets_is_left_as_it_is() -> None:
    record = logging.makeLogRecord({"msg": "x %s", "args": ("y",)})
    ScrubbingFilter(knowing(VALUE)).filter(record)
    assert (record.msg, record.args) == ("x %s", ("y",))


def test_the_filter_goes_with_its_context(log: Log) -> None:
    logger, written = log
    with scrubbed_logs(knowing(VALUE)):
        pass
    logger.warning(VALUE)
    assert "w0rd" in written.getvalue()


def test_printed_text_is_scrubbed_until_the_context_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with scrubbed_output(knowing("s3cr3t-v4lue")):
        print("out s3cr3t-v4lue", flush=True)
        print("err s3cr3t-v4lue", file=sys.stderr)
        sys.stdout.writelines(["lines ", "s3cr3t-v4lue\n"])
        assert sys.stdout.write("four") == 4
        assert sys.stdout.encoding
    print(" s3cr3t-v4lue")
    printed = capsys.readouterr()
    mark = "[secret TOKEN]"
    assert printed.out == f"out {mark}\nlines {mark}\nfour s3cr3t-v4lue\n"
    assert printed.err == f"err {mark}\n"


def test_contexts_that_overlap_end_in_any_order_and_leave_the_stream_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sys.stdout
    first, second = scrubbed_output(knowing("s3cr3t-v4lue")), scrubbed_output(knowing("0ther-v4lue"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    print("0ther-v4lue")
    second.__exit__(None, None, None)
    assert sys.stdout is before
    assert capsys.readouterr().out == "[secret TOKEN]\n"


def test_a_stream_that_somebody_put_in_place_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = io.StringIO()
    with scrubbed_output(knowing("s3cr3t-v4lue")):
        monkeypatch.setattr(sys, "stdout", theirs)
    assert sys.stdout is theirs


def test_a_process_without_a_stream_has_none_to_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with scrubbed_output(knowing("s3cr3t-v4lue")):
        print("nobody reads this")
    assert sys.stdout is None
