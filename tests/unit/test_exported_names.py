"""The names that the author of a tool relies on."""

import backstay.tools


def test_the_public_names_are_these_and_all_there() -> None:
    assert backstay.tools.__all__ == [
        "NOT_HAPPENED",
        "UNKNOWN",
        "Happened",
        "OutcomeUnknownError",
        "SecretError",
        "ToolCall",
        "ToolError",
        "Unsettled",
        "tool",
    ]
    assert all(hasattr(backstay.tools, name) for name in backstay.tools.__all__)
