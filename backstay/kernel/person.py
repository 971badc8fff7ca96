"""Tells whether two names are one person's, however each of them is written."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import unescape
from urllib.parse import unquote

from .characters import shows_nothing

_UNSEEN = ("Cc", "Cf", "Cs")
_BREAKS = ("Cc", "Cs", "Zl", "Zp")

_DELIMITERS = r"\s@<>()\[\]{}\"`«»‹›“”„‘‚,;:=/\\\\|*!?#$^~"
_DELIMITER = re.compile(rf"([{_DELIMITERS}])")
_DOMAIN = re.compile(r"[^'&%+]+")
_IN_BRACKETS = re.compile(r"<([^<>]*+)>")
_NAMED = re.compile(r"(.*?) ?<([^<>]*)>")
_LINK = re.compile(r"(?:mailto|acct):/*([^?]*)(?:\?.*)?")
_COMMENT = re.compile(r"\([^()]*\)")
_QUOTED = re.compile(r"[\"'“”]?(?<![^\s\"'“”@<>])([^\s\"'“”@<>]++)[\"'“”]@")
_SPELLED_AT = re.compile(r" ?[\[({<] ?(?:at|@) ?[\])}>] ?")
_SPELLED_DOT = re.compile(r" ?[\[({<] ?(?:dot|\.) ?[\])}>] ?|(?<=\w) dot (?=\w)")
_IN_WORDS = re.compile(r"(?<![^\s@])([^\s@]++) at ([^\s@]+\.[^\s@]+)")
_AROUND = " \"',;"
_ENDS = "'."
_INITIALS = 2
_LAYERS = 8
_SAME_SIGNS = str.maketrans("\u3002’", ".'")


@lru_cache(maxsize=4_096)
def person_key(name: str) -> str:
    """Returns the one spelling that all spellings of a person's name share; empty where the name shows nothing.

    An address makes the person, wherever it stands in the name: `Alice (alice@example.com)`, `[Alice](mailto:...)`,
    `acct:ALICE@example.com` and `alice [at] example.com` are one person. Of several, the last in angle brackets counts,
    else the first that is no remark. Where there is none, case, compatibility forms, blanks around the name, and
    characters that nobody sees make no difference. A name with more layers around it than anybody writes is nobody's:
    its key is empty too.
    """
    key = name
    for _ in range(_LAYERS):
        before, key = key, _simpler(key)
        if key == before:
            return key
    return ""


def same_person(one: str, other: str) -> bool:
    """Tells whether two names are one person's."""
    return person_key(one) == person_key(other)


def people_keys(names: Iterable[str]) -> list[str]:
    """Returns the keys of some people, each person once, in their order."""
    return list(dict.fromkeys(map(person_key, names)))


def named_twice(names: Iterable[str]) -> tuple[str, str] | None:
    """Returns the first two spellings of one person in a list; None where everybody stands in it once."""
    seen: dict[str, str] = {}
    for name in names:
        if (key := person_key(name)) in seen:
            return seen[key], name
        seen[key] = name
    return None


def holds_breaks(name: str) -> bool:
    """Tells whether a name holds control characters, line breaks or half characters, which no name has."""
    return any(unicodedata.category(character) in _BREAKS for character in name)


def written_out(name: str) -> int:
    """Returns the length of a name, each sign that stands for several as what it stands for."""
    return len(unicodedata.normalize("NFKC", name))


def _simpler(name: str) -> str:
    """Returns a name once normalised, and without one layer around its address."""
    shown = _shown(unicodedata.normalize("NFKC", unquote(unescape(name))))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    joined = re.sub(r" ?@ ?", "@", " ".join(folded.translate(_SAME_SIGNS).split())).strip(_AROUND)
    return _address(joined) or _address(_spelled_out(joined)) or _bare(joined)


def _address(text: str) -> str:
    """Returns the address in a text that makes the person; empty where there is none."""
    text = _QUOTED.sub(r"\1@", text)
    if "@" not in text:
        return ""
    bracketed = [place for place in reversed(_IN_BRACKETS.findall(text)) if place.strip(" ")]
    for place in [*bracketed, _COMMENT.sub(" ", text), text]:
        found = [_plain(address) for address in _addresses(place)]
        dotted = [address for address in found if "." in address.partition("@")[2]]
        if dotted or (found and found[0] == place.strip(_AROUND)):
            return (dotted or found)[0]
    return ""


def _addresses(text: str) -> Iterator[str]:
    """Yields the addresses of a text; each sign of it is looked at once."""
    user, *rest = _DELIMITER.split(text)
    for delimiter, run in zip(rest[::2], rest[1::2], strict=True):
        domain = _DOMAIN.match(run) if delimiter == "@" and user else None
        if domain:
            yield f"{user}@{domain[0]}"
        user = run[domain.end() :] if domain else run


def _plain(address: str) -> str:
    """Returns an address without dots and quotes at its ends, and its domain in letters where it is in punycode."""
    user, _, domain = address.partition("@")
    labels = map(_letters, domain.strip(".-").split("."))
    return f"{user.strip(_ENDS)}@{'.'.join(labels)}"


def _letters(label: str) -> str:
    try:
        return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label
    except ValueError:
        return label


def _spelled_out(text: str) -> str:
    """Returns a text with `[at]` and `(dot)` as signs: so people hide an address from machines."""
    return _IN_WORDS.sub(r"\1@\2", _SPELLED_DOT.sub(".", _SPELLED_AT.sub("@", text)))


def _bare(text: str) -> str:
    """Returns a name without what stands around it: `mailto:ann`, `<ann>`, `Ann Lee <alee>`.

    A word in brackets that holds no word of the name, such as a department, is no login and belongs to the name.
    """
    if link := _LINK.fullmatch(text):
        return link[1]
    if named := _NAMED.fullmatch(text):
        login, words = named[2].strip(_AROUND), named[1].strip(_AROUND).split()
        if login and (not words or login in words or any(word in login for word in words if len(word) > _INITIALS)):
            return login
    return text


def _shown(name: str) -> str:
    """Returns a name without the characters that nobody sees, its blanks as spaces."""
    if name.isascii() and name.isprintable():
        return name
    return "".join(" " if character.isspace() else character for character in name if _shows(character))


def _shows(character: str) -> bool:
    return character.isspace() or not _is_unseen(character)


def _is_unseen(character: str) -> bool:
    return shows_nothing(character) or unicodedata.category(character) in _UNSEEN
