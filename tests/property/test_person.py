"""The key of a person: the same for all spellings, and never in the way of itself."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind, filled
from backstay.kernel.person import person_key, same_person

pytestmark = pytest.mark.soak

SIGNS = "aAbß İı<>@()[]{}&#;x.=“`\"' mailto:?%40\u200b\u00ad\ufe0f\u0301ǅﬁ＠＜＞\u2066\U000e0001\u0345ᾳ\u1160"
ODD = st.sampled_from(list(SIGNS))
NAMES = st.text(ODD, max_size=16) | st.text(max_size=12)
WORDS = st.text("abcdxyz", min_size=1, max_size=6)
ADDRESSES = st.builds(lambda user, place: f"{user}@{place}.example", WORDS, WORDS)
UNSEEN = st.sampled_from("\u200b\u200d\u00ad\ufe0f\ufe01\u2060\ufeff\u202e\u034f\u3164\U000e0041\U000e01ef")
WRITTEN = {
    "upper": lambda address, unseen: address.upper(),
    "wide": lambda address, unseen: "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in address),
    "blanks": lambda address, unseen: f"\u00a0 {address}\u2003",
    "unseen": lambda address, unseen: unseen.join(address),
    "named": lambda address, unseen: f"Somebody Else <{address}>",
    "remark": lambda address, unseen: f"Somebody Else ({address})",
    "square": lambda address, unseen: f"[{address}]",
    "word before": lambda address, unseen: f"Somebody: {address}",
    "word behind": lambda address, unseen: f"{address}, somebody",
    "Markdown": lambda address, unseen: f"[Somebody](mailto:{address})",
    "account": lambda address, unseen: f"acct:{address}",
    "slashes": lambda address, unseen: f"mailto://{address}",
    "code": lambda address, unseen: f"`{address}`",
    "dot": lambda address, unseen: f"{address}.",
    "ideographic dot": lambda address, unseen: address.replace(".", "\u3002"),
    "percent": lambda address, unseen: "".join(f"%{ord(one):02x}" if one.isascii() else one for one in address),
    "entity": lambda address, unseen: address.replace("@", "&#64;"),
    "hidden": lambda address, unseen: address.replace("@", " [at] ").replace(".", "(dot)"),
    "link": lambda address, unseen: f"mailto:{address}",
    "brackets": lambda address, unseen: f"<{address}>",
    "decomposed": lambda address, unseen: unicodedata.normalize("NFD", address),
}
WAYS = st.lists(st.sampled_from(sorted(WRITTEN)), max_size=3)


def written(address: str, ways: list[str], unseen: str) -> str:
    """An address, written in some ways one after the other."""
    for way in ways:
        address = WRITTEN[way](address, unseen)
    return address


@given(NAMES)
def test_the_key_of_a_key_is_the_key(name: str) -> None:
    assert person_key(person_key(name)) == person_key(name)


@given(NAMES, NAMES, NAMES)
def test_one_person_is_an_equivalence(one: str, other: str, third: str) -> None:
    assert same_person(one, one)
    assert same_person(one, other) == same_person(other, one)
    assert not (same_person(one, other) and same_person(other, third)) or same_person(one, third)


@given(ADDRESSES, WAYS, WAYS, UNSEEN)
def test_an_address_is_one_person_in_all_spellings(address: str, some: list[str], others: list[str], seen: str) -> None:
    assert same_person(written(address, some, seen), written(address, others, seen))


@given(ADDRESSES, ADDRESSES, WAYS, UNSEEN)
def test_another_spelling_makes_nobody_another_person(one: str, other: str, ways: list[str], unseen: str) -> None:
    assert same_person(one, written(other, ways, unseen)) == (one == other)


@given(ADDRESSES, WAYS, WAYS, UNSEEN, st.sampled_from(["requester", "editor", "voter"]))
def test_no_spelling_lets_in_who_is_barred_or_counts_anybody_twice(
    address: str, listed: list[str], sent: list[str], unseen: str, role: str
) -> None:
    members = {"finance": (written(address, listed, unseen), "zoe@zoe.example2")}
    asked = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "d", ("finance:2",), members)
    by = written(address, sent, unseen)
    assert asked.refuses(by) is None
    barred = {
        "requester": Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "d", ("finance:2",), members, address),
        "editor": Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "d", ("finance",), members, editors=(address,)),
        "voter": asked.voted(address),
    }[role]
    assert barred.refuses(by) is not None
    assert not asked.voted(address).voted(by).granted
    assert not filled(["finance:2"], members, [address, by])
    assert asked.ended(ApprovalEnd.APPROVED).refuses(by) is not None
