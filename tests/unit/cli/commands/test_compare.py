"""What `backstay compare` refuses, it refuses before anything runs."""

from pathlib import Path

import pytest

from backstay.cli import execute


def test_a_page_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for page in (tmp_path / "nowhere" / "compare.html", tmp_path):
        assert execute(["compare", "--page", str(page)]) == 2
        assert "name a file in a folder that is there" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seeds", "--calls"])
def test_a_comparison_of_nothing(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["compare", option, "0"]) == 2
    assert option in capsys.readouterr().err
