"""Whoever reads a payload learns that it is encrypted; a run that somebody sends one to goes on."""

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from backstay.adapters.payload.tolerant import ENCRYPTED, UNREADABLE, TolerantPayloadConverter, WorkerPayloadConverter
from backstay.errors import CodecError

SEALED = [Payload(metadata={"encoding": ENCRYPTED}, data=b"x")]


def test_an_encrypted_payload_of_a_known_type_says_that_there_are_no_keys() -> None:
    with pytest.raises(CodecError, match="this process has no"):
        TolerantPayloadConverter().from_payloads(SEALED, [str])


@pytest.mark.parametrize(
    ("converter", "hint"),
    [(TolerantPayloadConverter(), None), (TolerantPayloadConverter(), Any), (WorkerPayloadConverter(), str)],
)
def test_elsewhere_it_is_unreadable_like_any_other(converter: TolerantPayloadConverter, hint: Any) -> None:
    assert converter.from_payloads(SEALED, [hint]) == [UNREADABLE]
