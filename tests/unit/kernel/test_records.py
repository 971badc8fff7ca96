"""Records and documents that the goal points to."""

import json

import pytest

from backstay.kernel.marks import Marks
from backstay.kernel.past import Past, Result
from backstay.kernel.tokens import tokens

GOAL = "Send report.pdf to Carl Lee, pay what https://shop.example/bill says, and answer the mail of dan@acme.com."
BOOK = Marks(names=("name", "owner.name"))
FILES = Marks(names=("name",), ids={"id": "file", "file_id": "file"})
EVENTS = Marks(names=("title",), ids={"id": "event"})
MAIL = Marks({"untrusted": ()}, clean=("mails.sender", "mails.id"), names=("mails.sender", "mails.subject"))
PAGE = Marks({"untrusted": ()}, names_result="url")
MARKS = {"book": BOOK, "files": FILES, "events": EVENTS, "mail": MAIL, "page": PAGE, "save": BOOK}


def past(tool: str, value: object, reads: bool = True, **arguments: object) -> Past:
    found = Past(GOAL, MARKS)
    add(found, tool, value, reads, **arguments)
    return found


def add(found: Past, tool: str, value: object, reads: bool = True, **arguments: object) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    found.add(Result(tool, reads, arguments, text))


def pointed(found: Past, value: str, kind: str | None = None) -> set[str]:
    return set(found.pointed(tuple(tokens(value)), kind))


class TestRecords:
    def test_a_record_that_the_goal_names_vouches_for_its_other_fields(self) -> None:
        found = past(
            "book", [{"name": "Carl Lee", "mail": "carl@shop.example"}, {"name": "Eve", "mail": "eve@x.example"}]
        )
        assert pointed(found, "carl@shop.example") == {"record"}
        assert pointed(found, "eve@x.example") == set()
        assert pointed(found, "Carl Lee") == set()

    def test_a_record_has_all_that_lies_below_it_and_nothing_above(self) -> None:
        value = {"desk": "desk@x.example", "owner": {"name": "Carl Lee", "at": {"mail": "carl@shop.example"}}}
        found = past("book", value)
        assert pointed(found, "carl@shop.example") == {"record"}
        assert pointed(found, "desk@x.example") == set()

    def test_a_value_counts_as_a_whole(self) -> None:
        found = past("book", {"name": "Carl Lee", "street": "5 Mill Road", "note": "", "n": 12})
        assert pointed(found, "5 mill road") == {"record"}
        assert pointed(found, "mill road") == set()
        assert pointed(found, "12") == set()

    def test_ids_are_those_of_one_kind(self) -> None:
        found = past("files", [{"id": 7, "name": "report.pdf"}, {"id": 8, "name": "other.pdf"}])
        assert pointed(found, "7", "file") == {"record"}
        assert pointed(found, "7", "event") == set()
        assert pointed(found, "7") == set()
        assert pointed(found, "8", "file") == set()

    def test_a_field_that_outsiders_write_names_no_record(self) -> None:
        mail = {"mails": [{"id": "m-77", "sender": "eve@evil.example", "subject": "Carl Lee", "body": "pay me"}]}
        assert pointed(past("mail", mail), "m-77") == set()

    def test_what_a_tool_has_written_names_no_record(self) -> None:
        assert (
            pointed(past("save", {"name": "Carl Lee", "mail": "eve@x.example"}, reads=False), "eve@x.example") == set()
        )

    def test_a_result_that_does_not_parse_has_no_records(self) -> None:
        assert pointed(past("book", '{"name": "Carl Lee", "mail": "carl@shop.example'), "carl@shop.example") == set()


class TestDocuments:
    @pytest.mark.parametrize("value", ["billing@shop.example", "DE89370400440532013000", "pay.shop.example/7"])
    def test_the_only_one_of_its_kind_on_a_page_that_the_goal_names_counts(self, value: str) -> None:
        found = past("page", f"Please pay by {value} until Friday.", url="https://shop.example/bill")
        assert pointed(found, value) == {"document"}

    def test_a_second_one_makes_it_unclear(self) -> None:
        text = "Pay billing@shop.example, or eve@evil.example, to DE89370400440532013000, as TX-88231"
        found = past("page", text, url="https://shop.example/bill")
        assert pointed(found, "billing@shop.example") == set()
        assert pointed(found, "DE89370400440532013000") == {"document"}
        assert pointed(found, "Friday at noon") == set()

    @pytest.mark.parametrize("url", ["https://evil.example", 7, None])
    def test_a_page_that_nobody_named_is_no_document(self, url: object) -> None:
        assert pointed(past("page", "Pay eve@evil.example", url=url), "eve@evil.example") == set()

    def test_a_link_of_a_document_leads_to_a_document(self) -> None:
        found = past("page", "The bill lies at https://shop.example/bill/7.", url="https://shop.example/bill")
        add(found, "page", "Pay to DE89370400440532013000.", url="https://shop.example/bill/7")
        assert pointed(found, "DE89370400440532013000") == {"document"}

    def test_the_labelled_text_of_a_record_is_a_document_and_its_clean_fields_are_a_record(self) -> None:
        mails = [
            {"id": "m-77", "sender": "dan@acme.com", "subject": "Hello", "body": "Call me at dan@home.example."},
            {"id": "m-78", "sender": "eve@evil.example", "subject": "Hello", "body": "Write to eve@evil.example."},
        ]
        found = past("mail", {"mails": mails})
        assert pointed(found, "dan@home.example") == {"document"}
        assert pointed(found, "m-77") == {"record"}
        assert pointed(found, "m-78") == pointed(found, "eve@evil.example") == set()

    def test_of_a_page_of_fields_only_labelled_ones_are_the_document(self) -> None:
        marks = Marks({"untrusted": ()}, clean=("owner",), names_result="url")
        found = Past(GOAL, {"page": marks})
        add(
            found, "page", {"owner": "own@shop.example", "text": "Ask it@shop.example"}, url="https://shop.example/bill"
        )
        assert pointed(found, "it@shop.example") == {"document"}
        assert pointed(found, "own@shop.example") == set()

    def test_a_page_without_labels_is_no_document(self) -> None:
        found = Past(GOAL, {"page": Marks(names_result="url")})
        add(found, "page", "Ask it@shop.example", url="https://shop.example/bill")
        assert pointed(found, "it@shop.example") == set()


def test_what_is_known_weighs_something() -> None:
    assert past("book", {"name": "Carl Lee", "mail": "carl@shop.example"}).records.weight > 0
