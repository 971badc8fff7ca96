"""Long lists come in pages, small enough to be sent and without a gap."""

from typing import Any

import pytest

from backstay.contracts.status import PAGE_BYTES, ChildView, Page, PageRequest, page

ITEMS: list[dict[str, Any]] = [{"n": number} for number in range(1, 6)]


@pytest.mark.parametrize(
    ("after", "limit", "numbers", "following"),
    [
        (0, 1_000, [1, 2, 3, 4, 5], None),
        (0, 5, [1, 2, 3, 4, 5], None),
        (0, 4, [1, 2, 3, 4], 4),
        (0, 2, [1, 2], 2),
        (2, 2, [3, 4], 4),
        (4, 2, [5], None),
        (5, 2, [], None),
        (10**30, 2, [], None),
    ],
)
def test_a_page_holds_so_many_items_and_says_where_the_next_begins(
    after: int, limit: int, numbers: list[int], following: int | None
) -> None:
    asked = page(ITEMS, [1] * 5, PageRequest(after=after, limit=limit))
    assert asked == Page(items=[{"n": number} for number in numbers], first=after + 1, next=following)


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ([PAGE_BYTES] * 5, [1, 1, 1, 1, 1]),
        ([PAGE_BYTES // 2] * 5, [2, 2, 1]),
        ([PAGE_BYTES // 2 + 1] * 5, [1, 1, 1, 1, 1]),
        ([1, PAGE_BYTES - 1, 1, PAGE_BYTES, 1], [2, 1, 1, 1]),
        ([PAGE_BYTES * 3, 1, 1, PAGE_BYTES * 3, 1], [1, 2, 1, 1]),  # what is larger than a page stands alone
    ],
)
def test_a_page_holds_so_many_bytes(sizes: list[int], lengths: list[int]) -> None:
    after: int | None = 0
    met: list[int] = []
    while after is not None:
        part = page(ITEMS, sizes, PageRequest(after=after))
        met.append(len(part.items))
        after = part.next
    assert met == lengths


def test_an_empty_list_is_one_empty_page() -> None:
    assert page([], [], PageRequest()) == Page(items=[], first=1, next=None)


def test_a_child_that_added_to_no_meter_says_nothing_of_meters() -> None:
    child = ChildView(run_id=None, call_id="1-0", agent="helper", state="held", stop_reason=None, usd="0.00")
    assert "exposure" not in child.model_dump()
    assert child.model_copy(update={"exposure": {"m": "1"}}).model_dump()["exposure"] == {"m": "1"}


@pytest.mark.parametrize(("after", "first", "numbers"), [(0, 8, [8, 9]), (7, 8, [8, 9]), (8, 9, [9]), (9, 10, [])])
def test_a_page_of_a_later_link_says_where_it_begins(after: int, first: int, numbers: list[int]) -> None:
    part = page([{"n": 8}, {"n": 9}], [1, 1], PageRequest(after=after), before=7)
    assert (part.first, [item["n"] for item in part.items], part.next) == (first, numbers, None)
    assert page([{"n": 8}, {"n": 9}], [1, 1], PageRequest(after=7, limit=1), before=7).next == 8
