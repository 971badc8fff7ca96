"""A secret is found through up to three writers in a row, and ordinary texts stay as they are."""

import base64
import html
import json
import shlex
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backstay.adapters.secret.scrubber import Scrubber


def _each(write: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(map(write, text))


def _bytes(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(byte) for byte in text.encode())


def _inside(gap: str) -> Callable[[str], str]:
    return lambda text: text[: len(text) // 2] + gap + text[len(text) // 2 :]


def _repeated(write: Callable[[str], str], times: int) -> Callable[[str], str]:
    def write_all(text: str) -> str:
        for _ in range(times):
            text = write(text)
        return text

    return write_all


def _wide(sign: str) -> str:
    return chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign


WRITERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": lambda text: json.dumps(text)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "shell": lambda text: shlex.quote(text)[1:-1] if "'" in text else text,
    "html": html.escape,
    "url": quote,
    "form": quote_plus,
    "all of a url": _bytes("%{:02x}"),
    "mail": _bytes("={:02X}"),
    "long entities": _each(lambda sign: f"&#{ord(sign):011};"),
    "long hexadecimal entities": _each(lambda sign: f"&#x{ord(sign):08x};"),
    "braces": _each(lambda sign: f"\\x{{{ord(sign):x}}}"),
    "octal": lambda text: "".join(f"\\{byte:o}" if byte > 31 else chr(byte) for byte in text.encode()),
    "style": _each(lambda sign: sign if sign.isalnum() and sign.isascii() else f"\\{ord(sign):x} "),
    "five ampersands": lambda text: _repeated(lambda one: one.replace("&", "&amp;"), 5)(html.escape(text)),
    "five percents": lambda text: _repeated(lambda one: one.replace("%", "%25"), 5)(quote(text)),
    "line separator": _inside("\u2028"),
    "next line": _inside("\x85"),
    "vertical tab": _inside("\v"),
    "form feed": _inside("\f"),
    "line": _inside("\r\n"),
    "quotation": _inside("\n> "),
    "quoted quotation": _inside("\n>> "),
    "comment": _inside("\n    # "),
    "program's comment": _inside("\n// "),
    "table": _inside(" |\n| "),
    "tab": _inside("\t"),
    "colours": _inside("\x1b[1;31m"),
    "hidden sign": _inside("\u200b"),
    "wide": _each(_wide),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 of a powershell": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "hexadecimal with blanks": lambda text: text.encode().hex(" ").upper(),
    "numbers": lambda text: str(list(text.encode())),
}
GAPS = {
    *("line separator", "next line", "vertical tab", "form feed", "line", "quotation", "quoted quotation", "comment"),
    *("program's comment", "table", "tab", "colours"),
}
"""Signs that end a text's meaning where one falls into another, as a break within `// `."""

SECRETS = st.text('abcxyzABCXYZ0189+/="\\ é-_', min_size=8, max_size=24).filter(
    lambda text: len(set(text.lower())) > 4 and text == text.strip()
)


def knowing(secret: str) -> Scrubber:
    scrubber = Scrubber()
    scrubber.learn("TOKEN", secret)
    return scrubber


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=20)
@given(SECRETS, st.lists(st.sampled_from(sorted(WRITERS)), max_size=2))
def test_a_secret_is_found_through_three_writers(writer: str, secret: str, others: list[str]) -> None:
    written, names = secret, [*others, writer]
    assume(len([name for name in names if name in GAPS]) < 2)
    assume(not {"base64 of a powershell", "wide"} <= {*names})  # UTF-16 is told by its zeros, and these have none
    for name in names:
        written = WRITERS[name](written)
    clean = knowing(secret).text(f"before: {written} after")
    assert "[secret TOKEN]" in clean


ORDINARY = [
    "The order 1234-5678 is on its way; see https://shop.example/orders?id=1234&lang=de%2DDE#top.",
    '{"path": "C:\\\\data\\\\new", "text": "He said \\"no\\" & left.\\n", "ok": true}',
    "def f(x):\n    # a comment\n    return x + 1  # and more\n",
    "> On Monday Ann wrote:\n> | a | b |\n> |---|---|\nBest =C3=A4 regards",
    "Größe ½ ﬁne Ｗｉｄｅ 東京 e\u0301 \x1b[31mred\x1b[0m <b>bold</b> &lt;tag&gt; &copy;",
    "de:ad:be:ef:00:11 61 62 63 64 65 66 67 [1, 2, 3, 4, 5, 6, 7] 0x1f, 0x20",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "it''s \"\"quoted\"\" '\\'' and 100%25 of \\57 \\x{2b} \\2b c",
    "\ud800\udc80 \x00\x9b31m %u0000 &#0; &#x110000; \\u{ffffffff} \\N{NO SUCH} =\n",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    scrubber = Scrubber()
    for at, secret in enumerate(
        ["Kq7-canary/42+never==", "correct horse battery", 'pä$$ "w0rd"/+&?\\', "123456789012"]
    ):
        scrubber.learn(f"T{at}", secret)
    assert scrubber.text(text) is text


@given(st.text(), st.lists(st.sampled_from(sorted(WRITERS)), max_size=2), st.text(min_size=6))
def test_any_text_and_any_secret_has_an_answer(text: str, names: list[str], secret: str) -> None:
    for name in names:
        text = WRITERS[name](text.encode("utf-8", "replace").decode())
    assert isinstance(knowing(secret).text(text), str)


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("user:pass-canary-7 is it", "user:[secret TOKEN] is it"),
        (base64.b64encode(b"pass-canary-7").decode() + " is it", "[secret TOKEN] is it"),
        (base64.b64encode(base64.b64encode(b"I: pass-canary-7, you: Bo")).decode(), None),
        ("x pass-\n> canary-7 y", "x [secret TOKEN] y"),
        ("x 70:61:73:73:2d:63:61:6e:61:72:79:2d:37 y", "x [secret TOKEN] y"),
        ("x ｐａｓｓ－ｃａｎａｒｙ－７ y", "x [secret TOKEN] y"),
        ("x pass-\x1b[31mcanary-7\x1b[0m y", "x [secret TOKEN]\x1b[0m y"),
        ("x pa&#0000000000115;s-canary-7 y", "x [secret TOKEN] y"),
    ],
)
def test_nothing_but_the_secret_is_taken_out(written: str, clean: str | None) -> None:
    found = knowing("pass-canary-7").text(written)
    assert (
        found == clean if clean else "[secret TOKEN]" in found and not found.startswith("[") and not found.endswith("]")
    )
