"""The worker of a checkout: `python worker.py` serves runs until it is told to stop."""

import sys

from backstay.cli.commands.worker import serve_forever

if __name__ == "__main__":
    sys.exit(serve_forever())
