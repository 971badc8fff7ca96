"""Names why a ready-made tool refuses a call: a code that stays the same, and a sentence for the model."""

from enum import StrEnum

from backstay.errors import ToolError


class Reason(StrEnum):
    """The codes with which an error of a ready-made tool begins; nothing was done."""

    # of HTTP
    URL_REFUSED = "url_refused"
    HOST_REFUSED = "host_refused"
    PORT_REFUSED = "port_refused"
    METHOD_REFUSED = "method_refused"
    ADDRESS_REFUSED = "address_refused"
    HEADER_REFUSED = "header_refused"
    REDIRECT_REFUSED = "redirect_refused"
    ENCODING_REFUSED = "encoding_refused"
    UNREACHED = "unreached"
    NO_ANSWER = "no_answer"
    # of SQL
    STATEMENT_REFUSED = "statement_refused"
    FUNCTION_REFUSED = "function_refused"
    TABLE_REFUSED = "table_refused"
    ROLE_REFUSED = "role_refused"
    NO_DATABASE = "no_database"
    TOO_SLOW = "too_slow"
    QUERY_FAILED = "query_failed"
    # of mail
    RECIPIENT_REFUSED = "recipient_refused"
    MESSAGE_REFUSED = "message_refused"
    MAIL_REFUSED = "mail_refused"
    MAIL_FAILED = "mail_failed"
    # of files
    PATH_REFUSED = "path_refused"
    LINK_REFUSED = "link_refused"
    NOT_FOUND = "not_found"
    NOT_A_FILE = "not_a_file"
    NOT_A_FOLDER = "not_a_folder"
    TOO_LARGE = "too_large"
    WORKSPACE_FULL = "workspace_full"
    WORKSPACE_FAILED = "workspace_failed"


def refusal(reason: Reason, text: str) -> ToolError:
    """Returns the error of a call that is refused: `code: sentence`."""
    return ToolError(f"{reason}: {text}")
