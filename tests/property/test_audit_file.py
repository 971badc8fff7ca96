"""No change of an exported file goes unseen: every byte, every line, every cut, over a whole sample."""

import os
from collections.abc import Iterator

import pytest

from backstay.adapters.archive.keys import audit_keys, fault_of
from backstay.kernel.audit_file import Flaw, read, written
from backstay.kernel.receipt import read_receipt, receipts_of, signed
from tests.unit.kernel.test_receipt import PAID, RUN
from tests.unit.kernel.trails import trail

pytestmark = pytest.mark.soak

[KEY] = audit_keys("2026a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
SIGNED = written(trail("top", records=2, then=("child",)), KEY) + written(trail("child", records=1, after="top"), KEY)
UNSIGNED = written(trail(records=1), None)
SOAK = os.environ.get("BACKSTAY_SOAK") == "1"
OTHERS = range(1, 256) if SOAK else (1, 2, 4, 8, 16, 32, 64, 128)
"""What is added to a byte: in full every other byte, else each bit of it alone."""


def intact(data: bytes) -> bool:
    sections = read(data)
    return not isinstance(sections, Flaw) and all(fault_of(one.claim) is None for one in sections)


def changed(data: bytes) -> Iterator[bytes]:
    for at, byte in enumerate(data):
        yield from (data[:at] + bytes([byte ^ other]) + data[at + 1 :] for other in OTHERS)


def shortened(data: bytes) -> Iterator[bytes]:
    yield from (data[:at] + data[at + 1 :] for at in range(len(data)))
    yield from (data[:at] for at in range(len(data)))


def lengthened(data: bytes) -> Iterator[bytes]:
    letters = range(256) if SOAK else b' \n\r\t"{}[]:,0a\\\x00'
    yield from (data[:at] + bytes([letter]) + data[at:] for at in range(len(data) + 1) for letter in letters)


def rearranged(data: bytes) -> Iterator[bytes]:
    """Lines dropped, doubled, swapped and put elsewhere."""
    lines = data.splitlines(keepends=True)
    for at, line in enumerate(lines):
        rest = lines[:at] + lines[at + 1 :]
        yield b"".join(rest)
        yield from (b"".join([*rest[:to], line, *rest[to:]]) for to in range(len(lines)) if to != at)
        yield from (b"".join([*lines[:to], line, *lines[to:]]) for to in range(len(lines) + 1))
    yield from (data[:at] + data[at + 1 : at + 2] + data[at : at + 1] + data[at + 2 :] for at in range(len(data) - 1))


@pytest.mark.parametrize("mutated", [changed, shortened, lengthened, rearranged])
@pytest.mark.parametrize("data", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
def test_every_mutation_of_a_file_is_found(data: bytes, mutated) -> None:
    assert intact(data)
    missed = [one for one in mutated(data) if one != data and intact(one)]
    assert missed == []


@pytest.mark.parametrize("mutated", [changed, shortened, lengthened])
def test_every_mutation_of_a_receipt_is_found_in_it_alone(mutated) -> None:
    def stands(line: bytes) -> bool:
        found = read_receipt(line[:-1]) if line.endswith(b"\n") else None
        return found is not None and fault_of(found[1]) is None

    [receipt] = receipts_of(RUN, PAID)
    line = signed(receipt, KEY)
    assert stands(line)
    assert [one for one in mutated(line) if one != line and stands(one)] == []
