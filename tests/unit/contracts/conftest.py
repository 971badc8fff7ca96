"""Asks a contract what most are asked: does it arrive as it was sent?"""

from backstay.contracts.problems import Contract


def arrived(sent: Contract) -> Contract:
    """A contract after its way through JSON, as the other side reads it."""
    return type(sent).model_validate_json(sent.model_dump_json())
