"""An office whose people sign what they say, and a run of theirs that pays."""

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from backstay.adapters.proof.key import PersonKey
from backstay.adapters.proof.statement import Signature, nonce, statement
from backstay.client.signing import proven_start
from backstay.contracts.proof import SignedMessage
from backstay.contracts.run import RunRequest, plain
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime

Handle = WorkflowHandle[Any, Any]

TOOLS = '''
from pathlib import Path
from backstay.tools import ToolCall, tool

@tool(effect="write")
def pay(call: ToolCall, amount: int) -> str:
    """Pays an amount."""
    with Path(__file__).with_name("paid.txt").open("a") as file:
        file.write(f"{call.run_id} {sorted(call.metadata)}\\n")
    return "paid"
'''
TOML = """
instructions = "Pay."
[approval]
require = { pay = "finance" }
groups = { finance = ["alice@example.com", "bob@example.com", "rita@example.com"] }
"""
ALICE, BOB, RITA = "alice@example.com", "bob@example.com", "rita@example.com"
ISSUER, AUDIENCE = "https://login.example.com", "backstay"
CANARY = "canary-of-a-proof"
PAY = {
    "pay": [Reply(calls=[Call("pay", {"amount": 9})]), Reply("done")],
    "wait": [Reply("late", delay=30)],
    "note": [Reply("done")],
}


@dataclass
class Office:
    """A runtime, the keys of its people, and the issuer of their tokens."""

    runtime: LocalRuntime
    keys: dict[str, Ed25519PrivateKey]
    issuer: RSAPrivateKey
    folder: Path

    @property
    def client(self) -> Client:
        return self.runtime.client

    def signed(self, handle: Handle, name: str, content: dict[str, Any]) -> SignedMessage:
        return SignedMessage(namespace=self.client.namespace, run_id=handle.id, message=name, content=content)

    def proof(self, signer: str, message: SignedMessage, age: int = 0) -> str:
        """The proof that somebody makes over a message, so many seconds ago."""
        at = int(time.time()) - age
        return str(Signature(at, self.keys[signer].sign(statement(message, at))))

    def token(self, message: SignedMessage, key: Any = None, algorithm: str = "RS256", **changes: Any) -> str:
        """A token of the issuer for alice and one message."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "a1", "iat": now, "exp": now + 300, "nonce": nonce(message)}
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        key = "" if algorithm == "none" else key or self.issuer
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k1"})

    async def start(self, goal: str = "pay", by: str | None = RITA, tenant: str = "acme", run_id: str = "") -> Handle:
        """A run that somebody really asked for."""
        run_id = run_id or f"run-{uuid.uuid4()}"
        request = RunRequest(goal=goal, agent="desk", requested_by=by, tenant=tenant)
        if by is not None:
            signer = PersonKey(self.keys[by]).sign
            request = proven_start(signer, self.client.namespace, run_id, request)
        return await self.runtime.start(plain(request), run_id)

    async def waiting(self) -> tuple[Handle, str]:
        """A run that waits for approval, and the approval."""
        handle = await self.start()
        return handle, await self.asked(handle)

    async def asked(self, handle: Handle) -> str:
        """The open approval of a run, once it is there."""
        while not (status := await handle.query("status"))["pending_approvals"]:
            assert status["state"] != "closed"
            await asyncio.sleep(0.02)
        return status["pending_approvals"][0]["approval_id"]

    async def audit(self, handle: Handle, event: str) -> list[dict[str, Any]]:
        return [item["facts"] for item in (await handle.query("audit"))["items"] if item["event"] == event]

    def paid(self, handle: Handle) -> list[str]:
        file = self.folder / "paid.txt"
        return [line for line in file.read_text().splitlines() if handle.id in line] if file.exists() else []


def people(folder: Path, keys: dict[str, Ed25519PrivateKey], issuer: RSAPrivateKey) -> Path:
    """The file of people, beside the keys of the issuer."""
    jwk = {**RSAAlgorithm.to_jwk(issuer.public_key(), as_dict=True), "kid": "k1", "alg": "RS256", "use": "sig"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    lines = [
        f'[people."{name}"]\nkeys = ["{PersonKey(key).public}"]\nsubjects = ["{name[0]}1"]\ntenants = ["acme"]'
        for name, key in keys.items()
    ]
    oidc = f'[oidc]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks = "{folder / "jwks.json"}"'
    (folder / "people.toml").write_text("\n".join([*lines, oidc]))
    return folder / "people.toml"


def agents(folder: Path) -> Path:
    desk = folder / "agents" / "desk"
    desk.mkdir(parents=True)
    (desk / "agent.toml").write_text(TOML)
    (desk / "tools.py").write_text(TOOLS)
    return desk.parent


async def refused(handle: Handle, name: str, message: dict[str, Any]) -> str:
    """The type of the error by which an update is refused; `taken` where it is not."""
    try:
        await handle.execute_update(name, message)
    except WorkflowUpdateFailedError as error:
        failure = error.cause
    else:
        return "taken"
    assert isinstance(failure, ApplicationError)
    assert CANARY not in str(failure)
    return failure.type or ""


REQUEST: dict[str, Any] = {"goal": "pay", "agent": "desk", "requested_by": RITA, "tenant": "acme"}


def last_other(proof: str) -> str:
    """The proof with other spare bits at its end, which decodes to the same bytes."""
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return proof[:-1] + signs[signs.index(proof[-1]) ^ 1]
