"""The codes of refusals, which people and rules may rely on."""

from backstay.errors import ToolError
from backstay.tools.ready.refusal import Reason, refusal


def test_an_error_begins_with_its_code() -> None:
    error = refusal(Reason.LINK_REFUSED, "links are not followed")
    assert isinstance(error, ToolError)
    assert str(error) == "link_refused: links are not followed"
