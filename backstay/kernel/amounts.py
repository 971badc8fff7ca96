"""Tells which numbers of a text say how much, by the words and signs beside them; other numbers name something.

It counts as sure what has a currency or is written as money is, and what follows a word of paying. A bare number
after any other word may be that of an order, a year, a house or a town.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from .spelling import Kind, Token
from .tokens import Placed


class Match(StrEnum):
    """The strength of a match; a short or unclear value may stand in a text by accident."""

    NONE = "none"
    WEAK = "weak"
    FULL = "full"

    @property
    def rank(self) -> int:
        """The place of the strength among all, from the weakest."""
        return _RANKS[self]


_RANKS: Final = {match: rank for rank, match in enumerate((Match.NONE, Match.WEAK, Match.FULL))}

SHORT: Final = 2
_WINDOW: Final = 6
_REACH: Final = 3

_CURRENCIES: Final = (
    "usd eur gbp chf jpy cny inr aud cad sek nok dkk pln dollar dollars euro euros pound pounds franc francs "
    "yen cent cents us$ rs kr zł $ ¢ £ ¤ ¥ €"
)
_MONEY: Final = frozenset(_CURRENCIES.split())
_NUMBERED: Final = (
    "order orders invoice invoices bill bills ticket tickets case cases issue issues customer customers client clients "
    "account accounts user users employee employees member members booking bookings reservation reservations "
    "contract contracts policy policies claim claims shipment shipments parcel parcels delivery deliveries product "
    "products article articles item items sku po flight flights train room page pages line lines version step serial "
    "batch record records document documents reference ref id ids no nr num number numbers zip zipcode postcode "
    "purchase project task incident asset device vehicle chapter section gate table seat unit building street road "
    "bestellung bestellungen bestellnummer auftrag aufträge auftragsnummer rechnung rechnungen rechnungsnummer kunde "
    "kunden kundin kundennummer konto konten kontonummer vertrag verträge vertragsnummer buchung buchungen vorgang "
    "lieferung artikel artikelnummer nummer fall plz postleitzahl raum zimmer seite zeile beleg belegnummer "
    "commande commandes facture factures client cliente compte contrat dossier numéro réservation code "
    "pedido pedidos factura facturas cuenta contrato reserva número ordine ordini fattura fatture conto contratto "
    "numero prenotazione bestelling bestellingen factuur facturen klant rekening boeking nummer fatura conta "
    "encomenda zamówienie faktura konto # №"
)
REFERENCES: Final = frozenset(_NUMBERED.split())
"""Words after which a number tells which one is meant, and not how much."""
_BETWEEN: Final = frozenset({"and", "or", "to", "is", "are", "also", "und", "oder", "et", "ou", "y", "e", "en"})

_PAYING_WORDS: Final = (
    "pay pays paid paying refund refunds refunded refunding transfer transfers transferred send sends sent wire wired "
    "charge charged charges credit credited debit debited reimburse reimbursed give give spend spent owe owes donate "
    "deposit withdraw deduct add subtract buy sell invest bid budget exactly zahle zahlen zahl bezahle überweise "
    "überweisen erstatte erstatten gutschreiben payer payez verse versez rembourse remboursez virer pagar paga pague "
    "reembolsar transferir transfiere pagare betaal betalen"
)
_PAYING: Final = frozenset(_PAYING_WORDS.split())
_SUMS_WORDS: Final = (
    "amount amounts sum total price cost costs fee fees value worth quantity qty count limit balance tip discount "
    "betrag summe preis kosten gebühr wert menge montant somme prix importe suma precio importo bedrag"
)
_SUMS: Final = frozenset(_SUMS_WORDS.split())
_LEADING_WORDS: Final = (
    "the a of with by for to at is are about exactly only another over under than up plus minus around roughly "
    "approximately maximum max min most least and or from between his her their my our its von über um mit auf für "
    "de d un une le la con per met"
)
_LEADING: Final = frozenset(_LEADING_WORDS.split())
_AT: Final = frozenset({"at", "um", "à", "before", "after", "until", "till", "by", "from", "gegen", "ab", "bis"})
_SHARES: Final = frozenset({"%", "‰", "percent", "percentage", "pct", "prozent"})
_YEAR: Final = re.compile("(?:19|20)[0-9]{2}")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[,'’ \xa0\u2009\u202f.][0-9]{2,3})+(?:[.,][0-9]+)?(?![0-9])")
_PLACES: Final = re.compile(r"[+-]?[0-9]+[.,](?:[0-9]{2}(?![0-9])|[-\u2013\u2014]{1,2}(?!\w))")
_CLOCK: Final = re.compile(r"(?:[01]?[0-9]|2[0-3])[.][0-5][0-9](?![0-9])")
_TOWN: Final = re.compile(r"[0-9]{4,5}(?:-[0-9]{4})?,?[ \xa0](?P<letter>[^\W\d_])(?=[^\W\d_])")
_SAID_OF: Final = frozenset({Kind.MAIL, Kind.IBAN, Kind.PHONE})


def amount_matches(text: str, found: Sequence[Placed]) -> dict[int, Match]:
    """Returns how surely the numbers of a text are amounts, by their places among its tokens; others are none."""
    matches: dict[int, Match] = {}
    referring = False
    for at, (token, _, _) in enumerate(found):
        if token.kind is not Kind.NUMBER:
            chained = token.kind is Kind.CODE or token.text in _BETWEEN
            referring = token.text in REFERENCES or (referring and chained)
        elif is_money(found, at):
            matches[at] = Match.WEAK if len(meanings(token)) > 1 else Match.FULL
        elif not referring:
            matches[at] = Match.FULL if _is_sure(text, found, at, matches) else Match.WEAK
    return matches


def is_money(found: Sequence[Placed], at: int) -> bool:
    """Tells whether a currency stands beside a number."""
    beside = [*found[max(at - 1, 0) : at], *found[at + 1 : at + 2]]
    return any(one.token.text in _MONEY for one in beside)


def is_reference(found: Sequence[Placed], at: int) -> bool:
    """Tells whether a number follows a word that says which one is meant."""
    return at > 0 and found[at - 1].token.text in REFERENCES


def is_common(found: Sequence[Placed], at: int) -> bool:
    """Tells whether a number is short, or looks like a year or a share, and so may stand in a text by accident."""
    token = found[at].token
    if is_money(found, at):
        return False
    if len(token.text) <= SHORT or _is_share(found, at):
        return True
    return _YEAR.fullmatch(token.text) is not None and not is_reference(found, at)


def meanings(token: Token) -> list[Token]:
    """Returns the numbers that a token may mean."""
    return [one for one in token.meanings() if one.text.count(".") < 2 and one.text[-1:].isdecimal()]


def _is_sure(text: str, found: Sequence[Placed], at: int, earlier: dict[int, Match]) -> bool:
    token, start, end = found[at]
    before = found[at - 1].token if at else None
    if token.is_unclear or len(token.text) <= SHORT or _is_share(found, at):
        return False
    if _YEAR.fullmatch(token.text) and not _GROUPED.match(text, start, end):
        return before is not None and before.text in _PAYING
    if before is not None and before.text in _AT and _CLOCK.match(text, start, end):
        return False
    if _GROUPED.match(text, start, end) or _PLACES.match(text, start):
        return True
    town = _TOWN.match(text, start)
    if before is None or (town and town["letter"].isupper()):
        return False
    if before.text in _BETWEEN and earlier.get(at - 2) is Match.FULL:
        return True
    return _is_paid(found, at, before)


def _is_paid(found: Sequence[Placed], at: int, before: Token) -> bool:
    """Tells whether a number follows a word of paying, or what may stand between the two."""
    if before.text in _PAYING or before.text in _SUMS:
        return True
    window = [one.token for one in found[max(at - _WINDOW, 0) : at]]
    paying = [place for place, token in enumerate(window) if token.text in _PAYING or token.text in _SUMS]
    if not paying:
        return False
    between = window[paying[-1] + 1 :]
    named = all(token.kind is Kind.WORD and token.text not in REFERENCES for token in between)
    labelled = before.kind is Kind.WORD and any(sign.isdecimal() for sign in before.text)
    return before.text in _LEADING or before.kind in _SAID_OF or labelled or (named and len(between) < _REACH)


def _is_share(found: Sequence[Placed], at: int) -> bool:
    return any(one.token.text in _SHARES for one in found[at + 1 : at + 2])
