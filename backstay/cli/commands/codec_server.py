"""`backstay codec-server`: lets Temporal's UI and command line read encrypted payloads."""

from typing import Annotated

import typer

PORT = 8234


def codec_server(
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A Temporal UI that may ask; repeatable. Default: the UI of a local development server."),
    ] = None,
) -> int:
    """Encrypt and decrypt payloads for the Temporal UI and command line, with the keys of BACKSTAY_CODEC_KEYS.

    BACKSTAY_CODEC_TOKEN, or the file BACKSTAY_CODEC_TOKEN_FILE, holds the bearer token that callers must send. Exit
    code: 0 ended by Ctrl-C or SIGTERM, 2 configuration or a port that is taken.
    """
    from ..work import codec_server as work

    return work.codec_server(host, port, origin)
