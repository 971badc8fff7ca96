"""Proves messages and starts as a person, with that person's own key."""

from collections.abc import Callable
from typing import Any

from backstay.contracts.problems import Contract
from backstay.contracts.proof import METADATA_KEY, START, SignedMessage, sent
from backstay.contracts.run import RunRequest

Signer = Callable[[SignedMessage], str]
"""Returns the proof that a person sends a message."""


def proven(signer: Signer, namespace: str, run_id: str, name: str, message: Contract) -> str:
    """Returns the proof of a message to a run."""
    return signer(SignedMessage(namespace=namespace, run_id=run_id, message=name, content=sent(message)))


def proven_start(signer: Signer, namespace: str, run_id: str, request: RunRequest) -> RunRequest:
    """Returns a request with the proof that its `requested_by` asks for this run."""
    signed = SignedMessage(namespace=namespace, run_id=run_id, message=START, content=request.content())
    metadata: dict[str, Any] = {**request.metadata, METADATA_KEY: signer(signed)}
    return request.model_copy(update={"metadata": metadata})
