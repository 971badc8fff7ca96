"""The doctor looks at the archive of evidence: whether there is one, whether it answers, and who signs."""

from pathlib import Path

import pytest

from backstay.checks import health
from backstay.checks.health import Check
from backstay.settings import Settings

KEY = "2026a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


async def check(**given: object) -> Check:
    return await health._archive(Settings(**given))  # pyright: ignore[reportPrivateUsage, reportArgumentType]


async def test_no_archive_is_a_warning() -> None:
    found = await check()
    assert (found.ok, found.doubtful) == (True, True)
    assert "Temporal alone" in found.detail
    assert "BACKSTAY_ARCHIVE" in found.mend


async def test_an_unsigned_archive_is_a_warning(tmp_path: Path) -> None:
    found = await check(archive=str(tmp_path))
    assert (found.ok, found.doubtful, found.mend) == (True, True, "set `BACKSTAY_AUDIT_KEY`")


async def test_a_signed_archive_is_well(tmp_path: Path) -> None:
    found = await check(archive=str(tmp_path), audit_key=KEY)
    assert (found.ok, found.doubtful, found.detail) == (True, False, f"{tmp_path}, signed by 2026a")


@pytest.mark.parametrize("given", [{"audit_key": "2026a:short"}, {"legal_hold": ["tenants:acme"]}])
async def test_a_setting_that_cannot_be_used_is_told(tmp_path: Path, given: dict[str, object]) -> None:
    assert not (await check(archive=str(tmp_path), **given)).ok


async def test_a_place_that_cannot_be_used_is_told() -> None:
    found = await check(archive="ftp://example.com")
    assert (found.ok, found.name) == (False, "archive")
