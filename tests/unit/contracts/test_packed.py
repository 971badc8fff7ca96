"""Large values are packed into a message, small ones stay readable, and what was packed by nobody is refused."""

import base64
import json
import zlib
from typing import Any

import pytest
from pydantic import ValidationError

from backstay.contracts import packed
from backstay.contracts.packed import READABLE, Packed
from backstay.contracts.problems import Contract


class Kept(Contract):
    """Something that grows."""

    names: Packed[dict[str, int]] | None = None


def wire(kept: Kept) -> Any:
    return json.loads(kept.model_dump_json())


def test_what_is_small_stays_readable() -> None:
    kept = Kept(names={"a": 1})
    assert wire(kept) == {"names": {"a": 1}}
    assert Kept.model_validate(wire(kept)) == kept
    assert wire(Kept()) == {"names": None}


def test_what_is_large_is_packed_and_read_again() -> None:
    kept = Kept(names={f"name {number}": number for number in range(READABLE // 10)})
    assert isinstance(wire(kept)["names"], str)
    assert len(wire(kept)["names"]) < READABLE
    assert Kept.model_validate(wire(kept)) == kept
    assert kept.model_dump()["names"] == kept.names, "within the process it is what it is"


def _packed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).decode()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "no base64!",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(b"{}")[:-2]).decode(),
        _packed(b"no json"),
        _packed(b"[1]"),
        _packed(b"[" * 100_000),
    ],
)
def test_what_was_never_packed_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        Kept.model_validate({"names": wrong})


def test_what_would_unpack_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LONGEST", 1_000)
    with pytest.raises(ValidationError, match="packed"):
        Kept.model_validate({"names": _packed(b"[" + b" " * 10_000 + b"]")})
