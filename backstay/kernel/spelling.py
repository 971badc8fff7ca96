"""Writes each kind of token in its one spelling: two tokens are equal exactly if they mean the same.

A spelling with several meanings, such as `1.500`, keeps them all: only the same spelling is equal to it.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """The type of a token."""

    WORD = "word"
    NUMBER = "number"
    CODE = "code"
    MAIL = "mail"
    NAME = "name"
    IBAN = "iban"
    PHONE = "phone"
    DATE = "date"
    TIME = "time"
    SYMBOL = "symbol"


class Token(NamedTuple):
    """A token in its one spelling; `text` joins the meanings of an unclear one by `|`."""

    kind: Kind
    text: str

    @property
    def is_unclear(self) -> bool:
        """True where the spelling has several meanings."""
        return "|" in self.text

    def meanings(self) -> list["Token"]:
        """Returns a token for each meaning of the spelling; the token itself where there is one."""
        return [Token(self.kind, text) for text in self.text.split("|")]


MONTHS: Final = {
    name: at
    for at, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}

_BLANKS: Final = " \xa0\u2009\u202f"
_NUMBER: Final = re.compile(
    rf"(?P<sign>[+\-\u2212]?)(?:(?P<whole>[1-9][0-9]{{0,2}}(?:(?P<by>[,'\u2019_{_BLANKS}])[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*+)"
    r"|[1-9][0-9]?(?:,[0-9]{2}(?=,))++,[0-9]{3}|[0-9]++|(?=\.))(?:\.(?P<places>[0-9]++))?"
    rf"|(?P<comma_whole>[1-9][0-9]{{0,2}}(?:(?P<apart>[.'\u2019{_BLANKS}])[0-9]{{3}}(?:(?P=apart)[0-9]{{3}})*+)"
    r"|[1-9][0-9]*+(?=,[0-9]{1,2}$|,[0-9]{4})|0),(?P<comma_places>[0-9]++))"
)
_ONE_POINT: Final = re.compile(r"[+\-\u2212]?[1-9][0-9]{0,2}\.[0-9]{3}")
_POINTS: Final = re.compile(r"[+\-\u2212]?[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,6}")
_ADDRESS: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})(?:\.(?!$)|$)){4}")
_SCALED: Final = re.compile(r"(.+?)(k|K|M|bn)")
_SCALES: Final = {
    **dict.fromkeys(("hundred", "hundert"), 2),
    **dict.fromkeys(("k", "thousand", "tausend", "mille", "mil"), 3),
    **dict.fromkeys(("lakh", "lakhs"), 5),
    **dict.fromkeys(("m", "million", "millions", "millionen", "mio", "mln", "millones"), 6),
    **dict.fromkeys(("crore", "crores"), 7),
    **dict.fromkeys(("bn", "billion", "billions", "milliarden", "mrd", "milliards"), 9),
}
SCALE: Final = "|".join(sorted((word for word in _SCALES if len(word) > 2), key=len, reverse=True))
"""A pattern of the words that multiply the number before them."""
_LEADING_ZERO: Final = re.compile("0[0-9]")
_NO_DIGIT: Final = re.compile("[^0-9]")
_NOT_IBAN: Final = re.compile("[^0-9A-Za-z]")
_WEB: Final = re.compile("https?://", re.IGNORECASE)
_AFTER_HOST: Final = re.compile(r"[/\\?#]")
_HERE: Final = re.compile(r"\A(?:\.[/\\])+(?=[^/\\])")
_USUAL_PORT: Final = re.compile(r"(?i:(?P<web>http)|https)://[^/\\?#]*(?P<port>:(?(web)80|443))(?=[/\\?#]|$)")
_FIGURES_OF: Final = re.compile("[./-]")
_COMPACT: Final = re.compile(r"((?:19|20)[0-9]{2})([01][0-9])([0-3][0-9])")
_TYPED: Final = str.maketrans("\u2019\u2018\u02bc\u2010\u2011", "'''--")
_CLOCK: Final = re.compile("([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.]([0-9]+))?)?")

_IBANS: Final = {
    country: re.compile(rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[ \xa0\u202f-]?[A-Za-z0-9]){{{length - 4}}}(?![^\W_])")
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO EG GT HU LB LC NI PL",
        29: "BR PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def small(text: str) -> str:
    """Returns a text in small letters; a sign that only looks like a capital, such as that of Kelvin, stays."""
    if text.isascii():
        return text.lower()
    return "".join(low if (low := sign.lower()).upper() == sign else sign for sign in text)


def word(text: str) -> Token:
    """Returns a word; apostrophes and hyphens of a typesetter are those of a keyboard."""
    return Token(Kind.WORD, small(text if text.isascii() else text.translate(_TYPED)))


def code(text: str) -> Token:
    """Returns digits that are no number, such as those of an order or an account."""
    return Token(Kind.CODE, text)


def number(text: str) -> Token | None:
    """Returns a number: `1,500.00` and `1.500,00` are 1500, `98,70` is 98.7. None where the text is none.

    Leading zeros make a code. `1.500` is unclear, and so are `1.234.567` and `2k`, which may be no numbers.
    """
    if _ONE_POINT.fullmatch(text):
        return _unclear(_written(text), _written(text.replace(".", "")))
    if _POINTS.fullmatch(text) and not _ADDRESS.fullmatch(text):
        return _unclear(text, _written(text.replace(".", "")))
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    whole = _NO_DIGIT.sub("", match["whole"] or match["comma_whole"] or "")
    if _LEADING_ZERO.match(whole):
        return code(text)
    return Token(Kind.NUMBER, _written(f"{match['sign']}{whole}.{match['places'] or match['comma_places'] or ''}"))


def exact(digits: str) -> Token:
    """Returns a number from its digits, with a point before its places and nothing between its thousands."""
    return Token(Kind.NUMBER, _written(digits))


def scaled(text: str, scale: str | None = None) -> Token | None:
    """Returns a number with the word that multiplies it; `2k` is unclear, because it may be a name.

    Args:
        text: the number, with the sign of its scale where no word follows.
        scale: the word; None where the scale stands in the text.
    """
    glued = _SCALED.fullmatch(text) if scale is None else None
    plain = number(glued[1] if glued else text)
    scale = glued[2] if glued else scale
    if plain is None or scale is None or plain.kind is not Kind.NUMBER or plain.is_unclear:
        return None
    whole, _, places = plain.text.partition(".")
    zeros = _SCALES[scale.lower()]
    written = _written(f"{whole}{places[:zeros].ljust(zeros, '0')}.{places[zeros:]}")
    return _unclear(small(text), written) if glued else Token(Kind.NUMBER, written)


def _unclear(*meanings: str) -> Token:
    return Token(Kind.NUMBER, "|".join(meanings))


def _written(digits: str) -> str:
    """Returns a number without a plus, leading zeros, and zeros after its last place."""
    whole, _, places = digits.lstrip("+-\u2212").partition(".")
    whole, places = whole.lstrip("0") or "0", places.rstrip("0")
    written = f"{whole}.{places}" if places else whole
    return f"-{written}" if digits[:1] in ("-", "\u2212") and written != "0" else written


def mail(text: str) -> Token:
    """Returns a mail address."""
    return Token(Kind.MAIL, small(text))


def name(text: str) -> Token:
    """Returns a link, a host or a file name, with its query.

    Left out are the web's scheme, its usual port, `www.`, the fragment, the last slash, and `./` at the beginning.
    """
    if port := _USUAL_PORT.match(text):
        text = text[: port.start("port")] + text[port.end("port") :]
    bare = _HERE.sub("", _WEB.sub("", text, count=1).partition("#")[0], count=1)
    edge = _AFTER_HOST.search(bare, bare.find("://") + 3 if "://" in bare else 0)
    at = edge.start() if edge else len(bare)
    host, rest = small(bare[:at]).removeprefix("www."), bare[at:]
    return Token(Kind.NAME, host + (rest.rstrip("/") if host or rest.strip("/") else "/"))


def iban(text: str, start: int = 0) -> tuple[Token, int] | None:
    """Returns the IBAN that begins somewhere in a text, and where it ends; None where there is none."""
    pattern = _IBANS.get(text[start : start + 2].upper())
    match = pattern.match(text, start) if pattern else None
    return (Token(Kind.IBAN, _NOT_IBAN.sub("", match[0]).upper()), match.end()) if match else None


def phone(text: str) -> Token:
    """Returns a phone number with its country, which begins with `+` or `00`; `(0)` is not dialled from abroad."""
    return Token(Kind.PHONE, "+" + _NO_DIGIT.sub("", text.replace("(0)", "")).removeprefix("00"))


def grouped(text: str) -> Token:
    """Returns digits in groups as one token: those of a card, or of a phone without its country."""
    digits = _NO_DIGIT.sub("", text)
    return number(digits) or code(digits)


def date(year: str | None, month: str, day: str | None) -> Token | None:
    """Returns a date, with or without its year or day; None where no calendar has it."""
    at = MONTHS.get(month[:3].lower()) or int(month)
    if not 1 <= at <= 12 or not 1 <= int(day or 1) <= 31:
        return None
    return Token(Kind.DATE, f"{year or '-'}-{at:02}" + (f"-{int(day):02}" if day else ""))


def day_month_year(text: str) -> Token | None:
    """Returns a date in figures with its year last; None where no calendar has it.

    Points tell that the day comes first, and so does a figure over twelve; else the date is unclear, as is one with a
    year of two figures.
    """
    first, second, last = _FIGURES_OF.split(text)
    orders = [(last, second, first), (last, first, second)]
    if len(last) == 2:
        orders = [(f"20{year}", month, day) for year, month, day in (*orders, (first, second, last)) if len(year) == 2]
    found = dict.fromkeys(one.text for order in orders if (one := date(*order)))
    if "." in text and len(last) == 4:
        return Token(Kind.DATE, next(iter(found))) if found else None
    if len(last) == 2:
        found[text] = None
    return Token(Kind.DATE, "|".join(sorted(found))) if found.keys() - {text} else None


def compact_date(token: Token) -> Token | None:
    """Returns the date that eight digits may be; None where they are none."""
    match = _COMPACT.fullmatch(token.text) if token.kind is Kind.NUMBER else None
    return date(match[1], match[2], match[3]) if match else None


def time(clock: str | None, half: str | None = None, zone: str | None = None) -> list[Token]:
    """Returns a time of day of 24 hours without seconds of zero, and its zone where that is not UTC."""
    clock = clock or ""
    match = _CLOCK.fullmatch(clock if ":" in clock else f"{clock}:00")
    if match is None:
        return []
    hour = int(match[1]) % 12 + (12 if half[0] in "Pp" else 0) if half else int(match[1])
    seconds = f"{match[3] or '00'}.{(match[4] or '').rstrip('0')}".rstrip(".")
    found = [Token(Kind.TIME, f"{hour:02}:{match[2]}" + (f":{seconds}" if seconds != "00" else ""))]
    offset = _NO_DIGIT.sub("", zone or "").ljust(4, "0")
    return found if offset == "0000" else [*found, Token(Kind.TIME, f"{(zone or '')[0]}{offset}")]
