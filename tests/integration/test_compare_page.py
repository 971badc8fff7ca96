"""The page of a comparison in a real browser: it fits a desk's window and a telephone's, and asks for nothing else."""

from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from backstay.compare.page import write_page
from tests.integration.browser import FLAGS, browser
from tests.unit.compare.test_page import FOUND

STICKS_OUT = """() => {
    document.querySelectorAll("details").forEach(one => { one.open = true });
    return document.documentElement.scrollWidth - window.innerWidth;
}"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("width", [1400, 390])
async def test_nothing_sticks_out_of_the_window_and_nothing_is_loaded(tmp_path: Path, width: int) -> None:
    file, asked = tmp_path / "compare.html", list[str]()
    write_page(file, FOUND, "a model")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=browser(), args=FLAGS, headless=True)
        page = await chromium.new_page(viewport={"width": width, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(file.as_uri())
        sticks_out = await page.evaluate(STICKS_OUT)
        await chromium.close()
    assert sticks_out <= 0
    assert asked == [file.as_uri()]
