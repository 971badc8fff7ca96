"""Tools read the secrets that they declare, and nothing else shows a value."""

import base64
import copy
import dataclasses
import pickle
from pathlib import Path

import pytest

from backstay.adapters.secret.store import Secrets, worker_secrets
from backstay.errors import ConfigurationError, SecretError, ToolError
from backstay.settings import Settings
from backstay.tools import ToolCall, tool
from backstay.tools.declare import options_of

VALUE = "s3cr3t-v4lue"


def call(secrets: Secrets, *declared: str) -> ToolCall:
    return ToolCall("run", 1, "1-0", "run/1-0", "clerk", "default", read_secret=secrets.reader("pay", declared))


def test_a_declared_secret_is_read_from_the_environment() -> None:
    assert call(Secrets(environment={"SHOP_TOKEN": VALUE}), "SHOP_TOKEN").secret("SHOP_TOKEN") == VALUE


def test_a_secret_is_read_from_the_file_its_variable_names(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(VALUE + "\n")
    secrets = Secrets(environment={"SHOP_TOKEN_FILE": str(tmp_path / "token")})
    assert call(secrets, "SHOP_TOKEN").secret("SHOP_TOKEN") == VALUE


def test_a_secret_is_read_from_the_folder_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "SHOP_TOKEN").write_text(VALUE)
    assert call(Secrets(tmp_path, {}), "SHOP_TOKEN").secret("SHOP_TOKEN") == VALUE


def test_the_variable_goes_before_its_file_and_its_file_before_the_folder(tmp_path: Path) -> None:
    (tmp_path / "A").write_text("from-folder")
    (tmp_path / "file").write_text("from-file")
    environment = {"A_FILE": str(tmp_path / "file")}
    assert Secrets(tmp_path, environment).read("A") == "from-file"
    assert Secrets(tmp_path, {**environment, "A": "from-variable"}).read("A") == "from-variable"


def test_a_secret_is_read_at_call_time(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {})
    file = tmp_path / "SHOP_TOKEN"
    given = call(secrets, "SHOP_TOKEN")
    file.write_text("first-value")
    assert given.secret("SHOP_TOKEN") == "first-value"
    file.write_text("second-value")
    assert given.secret("SHOP_TOKEN") == "second-value"
    assert secrets.scrubbed("first-value second-value") == "[secret SHOP_TOKEN] [secret SHOP_TOKEN]"


def test_an_undeclared_secret_is_refused_with_the_way_to_declare_it() -> None:
    secrets = Secrets(environment={"SHOP_TOKEN": VALUE, "OTHER": VALUE})
    with pytest.raises(SecretError, match=r'`pay` has not declared .* `@tool\(secrets=\["OTHER"\]\)`') as caught:
        call(secrets, "SHOP_TOKEN").secret("OTHER")
    assert isinstance(caught.value, ToolError)
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize("environment", [{}, {"SHOP_TOKEN": ""}])
def test_a_missing_secret_is_named_with_the_ways_to_set_it(environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        call(Secrets(tmp_path, environment), "SHOP_TOKEN").secret("SHOP_TOKEN")
    for way in ("`SHOP_TOKEN`", "`SHOP_TOKEN_FILE`", "`BACKSTAY_SECRETS`"):
        assert way in str(caught.value)


def test_a_file_that_cannot_be_used_is_an_error_that_names_the_secret(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("empty", "binary", "missing", "."):
        with pytest.raises(SecretError, match="`SHOP_TOKEN`"):
            Secrets(environment={"SHOP_TOKEN_FILE": str(tmp_path / name)}).read("SHOP_TOKEN")


def test_a_secret_that_is_too_short_to_be_kept_out_of_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PIN").write_text("4711\n")
    with pytest.raises(SecretError, match="`PIN` has less than 6 characters") as caught:
        call(Secrets(tmp_path, {}), "PIN").secret("PIN")
    assert "4711" not in str(caught.value)
    assert call(Secrets(environment={"PIN": "471100"}), "PIN").secret("PIN") == "471100"


def test_neither_a_call_nor_its_reader_of_secrets_shows_a_value() -> None:
    secrets = Secrets(environment={"SHOP_TOKEN": VALUE})
    given = call(secrets, "SHOP_TOKEN")
    given.secret("SHOP_TOKEN")
    for thing in (given, given.read_secret, secrets, secrets.scrubber):
        assert VALUE not in repr(thing)
        assert VALUE not in str(thing)


def test_a_pickled_call_leaves_its_secrets_behind() -> None:
    given = call(Secrets(environment={"SHOP_TOKEN": VALUE}), "SHOP_TOKEN")
    given.secret("SHOP_TOKEN")
    for copied in (pickle.loads(pickle.dumps(given)), copy.deepcopy(given)):
        assert copied == given
        with pytest.raises(SecretError, match="in a call of a worker only"):
            copied.secret("SHOP_TOKEN")
    assert VALUE.encode() not in pickle.dumps(given)
    assert VALUE not in str(dataclasses.asdict(given))


def test_a_scrubber_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secrets(environment={}).scrubber)


def test_a_test_gives_a_call_its_secrets() -> None:
    given = ToolCall("run", 1, "1-0", "run/1-0", "clerk", "default", read_secret={"SHOP_TOKEN": "x"}.__getitem__)
    assert given.secret("SHOP_TOKEN") == "x"


def test_a_tool_declares_its_secrets() -> None:
    @tool(secrets=["SHOP_TOKEN", "tls.key"])
    def pay() -> None: ...

    options = options_of(pay)
    assert options is not None
    assert options.secrets == ("SHOP_TOKEN", "tls.key")


@pytest.mark.parametrize("names", ["SHOP_TOKEN", ["../passwd"], [""], ["a b"], ["a/b"], [".."]])
def test_a_name_that_is_none_is_refused(names: object) -> None:
    with pytest.raises(ConfigurationError):
        tool(secrets=names)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_a_worker_knows_its_own_keys_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "temporal-key-1")
    monkeypatch.setenv("BACKSTAY_CODEC_TOKEN", "codec-token-1")
    key = base64.b64encode(b"\xfb\xff" * 16).decode()
    secrets = worker_secrets(Settings(openai_api_key="sk-model-key\n", codec_keys=f"new:{key}"), [])
    for written in (key, key.translate(str.maketrans("+/", "-_")).rstrip("=")):
        assert secrets.scrubbed(written).rstrip("=") == "[secret BACKSTAY_CODEC_KEYS]"
    assert secrets.scrubbed("sk-model-key temporal-key-1 codec-token-1") == (
        "[secret OPENAI_API_KEY] [secret TEMPORAL_API_KEY] [secret BACKSTAY_CODEC_TOKEN]"
    )
