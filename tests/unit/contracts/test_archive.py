"""What a run is told of archives, and asks of them."""

import pytest
from pydantic import ValidationError

from backstay.contracts.admission import ArchiveSpec
from backstay.contracts.archive import ArchiveInput
from backstay.contracts.run import plain
from backstay.kernel.audit import GENESIS, AuditHead


def test_without_a_number_evidence_is_kept_at_the_end_only() -> None:
    assert ArchiveSpec().every == 0
    with pytest.raises(ValidationError):
        ArchiveSpec(every=-1)


def test_the_part_to_write_survives_its_way_to_the_activity() -> None:
    given = ArchiveInput(start=AuditHead(), head=AuditHead(7, "sha256:7"), items_start=0, items=3, last=True)
    assert plain(given)["start"] == {"records": 0, "head": GENESIS}
    assert ArchiveInput.model_validate(plain(given)) == given
