"""A server is given secrets by their names."""

from backstay.adapters.mcp.server import Server, filled, secret_in


def test_a_value_stands_for_a_secret_as_a_whole_or_not_at_all() -> None:
    assert secret_in("secret:TOKEN") == "TOKEN"
    assert secret_in("Bearer secret:TOKEN") is None
    assert secret_in("secret:") is None


def test_the_secrets_of_a_server_are_known_by_their_names() -> None:
    server = Server("x", env={"A": "secret:ONE", "B": "plain", "C": "secret:ONE"}, headers={"D": "secret:TWO"})
    assert server.secrets == ("ONE", "TWO")


def test_values_are_filled_with_the_secrets_of_now() -> None:
    assert filled({"A": "secret:ONE", "B": "plain"}, lambda name: name.lower()) == {"A": "one", "B": "plain"}
