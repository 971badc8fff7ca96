"""A decision goes back to the Responses API in the order of the reply."""

from typing import Any

import pytest

from backstay.adapters.model.openai_items import Items
from backstay.contracts.decision import Decision, Part

PLAIN = Items(whole=False, withheld=frozenset())
CALLS = [("a", "look", "{}"), ("b", "look", "{}")]


def reasoning(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": id, "summary": [], "encrypted_content": "g", **more}


def kinds(decision: Decision, text: str = "", items: Items = PLAIN, calls: list[Any] | None = None) -> list[str]:
    found = items.of(decision, text, CALLS if calls is None else calls)
    return [str(item.get("id" if item["type"] == "reasoning" else "call_id", item.get("content"))) for item in found]


def parts(*kinds: str) -> list[Part]:
    split = [kind.partition(":") for kind in kinds]
    return [Part.model_validate({"kind": kind, "length": int(length or 0)}) for kind, _, length in split]


def test_interleaved_reasoning_stands_where_it_stood() -> None:
    order = parts("reasoning", "call", "reasoning", "call")
    assert kinds(Decision(reasoning=[reasoning("r1"), reasoning("r2")], parts=order)) == ["r1", "a", "r2", "b"]


def test_a_decision_without_an_order_has_the_usual_one() -> None:
    assert kinds(Decision(reasoning=[reasoning("r1")]), "hi") == ["r1", "hi", "a", "b"]


def test_each_piece_of_text_stands_where_it_stood() -> None:
    order = parts("text:2", "call", "text:3", "call")
    assert kinds(Decision(parts=order), "hi\n\nyou") == ["hi", "a", "you", "b"]


@pytest.mark.parametrize("text", ["other than was read", "", "x"])
def test_text_that_its_pieces_do_not_make_up_stands_whole(text: str) -> None:
    order = parts("text:2", "call", "text:3", "call")
    assert kinds(Decision(parts=order), text) == [*([text] if text else []), "a", "b"]


def test_nothing_is_lost_where_the_order_is_too_short_or_too_long() -> None:
    assert kinds(Decision(parts=parts("call")), "hi") == ["a", "hi", "b"]
    assert kinds(Decision(parts=parts("reasoning", "call", "call", "call"))) == ["a", "b"]


def test_reasoning_goes_back_without_nulls_and_without_what_only_a_reply_has() -> None:
    odd = reasoning("r1", status=None, content=None, internal="x")
    assert list(PLAIN.of(Decision(reasoning=[odd]), "", [])) == [reasoning("r1")]
    bare = {"type": "reasoning", "id": "r1", "encrypted_content": "g"}
    assert list(PLAIN.of(Decision(reasoning=[bare]), "", [])) == [reasoning("r1")]


def test_reasoning_that_only_names_a_stored_item_stays_away() -> None:
    assert list(PLAIN.of(Decision(reasoning=[reasoning("r1", encrypted_content=None)]), "", [])) == []


def test_extra_fields_stand_on_their_items_unless_they_are_withheld() -> None:
    order = [Part(kind="text", length=2, extra={"phase": "commentary"}), Part(kind="call", extra={"namespace": "n"})]
    text, call = PLAIN.of(Decision(parts=order), "hi", CALLS[:1])
    assert (text["phase"], call["namespace"]) == ("commentary", "n")
    text, call = Items(False, frozenset({"phase", "namespace"})).of(Decision(parts=order), "hi", CALLS[:1])
    assert "phase" not in text
    assert "namespace" not in call


def test_whole_items_have_an_id_and_a_status() -> None:
    whole = Items(True, frozenset())
    text, call = whole.of(Decision(), "hi", CALLS[:1])
    assert (text["status"], text["content"][0]["text"], call["id"]) == ("completed", "hi", "fc_a")
    assert text["id"].startswith("msg_")
    assert whole.result("a", "out")["id"] == "fco_a"
    assert PLAIN.result("a", "out") == {"type": "function_call_output", "call_id": "a", "output": "out"}
