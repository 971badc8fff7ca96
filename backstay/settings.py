"""Reads the settings of workers and commands from the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backstay.contracts.names import TASK_QUEUE
from backstay.contracts.problems import problems_of
from backstay.errors import ConfigurationError

DEFAULT_MODEL = "gpt-5-mini"


@dataclass(frozen=True, slots=True)
class Targets:
    """The parts of the machine's memory and CPU up to which a worker takes more work, from 0 to 1."""

    memory: float = 0.8
    cpu: float = 0.9


class Settings(BaseSettings):
    """Holds the settings; each field is the variable `BACKSTAY_` and its name in capitals, unless it says otherwise.

    Attributes:
        agents: folders that hold agents, separated by `:`; default: `./agents` if it exists, else the shipped ones.
        policies: folders with rules and limits of the organisation, beside the shipped ones; separated by `:`.
        model: the model of agents that name none.
        model_api: `responses` or `chat`, for agents that do not say.
        model_price: USD per million tokens, as `input=0.25,cached_input=0.025,output=2.00`, for models that are not
            in the price list.
        task_queue: where runs are served.
        account_queues: other task queues, separated by commas, whose runs this worker asks a model for where they share
            a provider's account with its agents.
        search_attributes: `off` runs without search attributes.
        user: your name for kills and approvals from the command.
        ui: address of the Temporal UI, for links; a local development server is found without it.
        conversation_cache_mb: memory of a worker for conversations; with 0 it reads them from the history each time.
        cached_runs: how many runs a worker keeps in memory.
        link_events: after so many events of its history a run continues as new, in the next link of its chain.
        slots: a number of activities at once, or `fixed`, 100; or `resources`, as many as fit while less than 80 % of
            the memory and 90 % of the CPU are in use; or other parts, as `memory=0.7,cpu=0.8`; default: `fixed`.
        prometheus: `host:port` where a worker serves its metrics.
        health: `host:port`, or a port of 127.0.0.1, where a worker answers `GET /livez` and `GET /readyz`; default:
            nowhere.
        log: `text` or `json`, the form of a worker's log.
        shutdown_seconds: how long a worker that is told to stop lets running activities finish.
        secrets: a folder with one file for each secret of tools.
        webhook_secret: the key that signs notices of approvals.
        people_keys: the file of people by whose keys and subjects workers verify proofs.
        require_proof: `on` refuses starts and answers without a proof; otherwise names are claims.
        archive: where evidence of runs is kept outside of Temporal: a folder, or `s3://bucket/prefix`.
        archive_every: after so many audit records evidence is kept while a run works; with 0 at its end only.
        archive_days: for how many days evidence is kept before `backstay audit prune` deletes it; default: for ever.
        legal_hold: what `backstay audit prune` never deletes, separated by commas: `all`, `run:ID`, `agent:A` or
            `tenant:T`.
        audit_key: the key that signs evidence, as `id:base64` (32 bytes, Ed25519); others behind it are published too.
        fleet_key: the secret of all workers of a task queue, in base64; without one, a worker keeps its own.
        codec_keys: keys that encrypt payloads, as `id:base64`; the first encrypts, all decrypt.
        codec_keys_file: a file with those keys, instead of `codec_keys`.
        codec_strict: a worker refuses payloads of activities that are not encrypted.
        payload_store: where payloads of more than 128 kB lie: a folder that all workers and clients share, or
            `s3://bucket/prefix`.
        openai_api_key: the model's key; the variable is `OPENAI_API_KEY`.
        openai_base_url: the model's server; the variable is `OPENAI_BASE_URL`.
    """

    model_config = SettingsConfigDict(
        env_prefix="BACKSTAY_", extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    agents: Annotated[list[Path] | None, NoDecode] = None
    policies: Annotated[list[Path], NoDecode] = Field(default_factory=list[Path])
    model: str = DEFAULT_MODEL
    model_api: str = Field(default="responses", pattern="^(responses|chat)$")
    model_price: Annotated[dict[str, str] | None, NoDecode] = None
    task_queue: str = TASK_QUEUE
    account_queues: Annotated[list[str], NoDecode] = Field(default_factory=list[str])
    search_attributes: bool = True
    user: str | None = None
    ui: str | None = None
    conversation_cache_mb: int = Field(default=64, ge=0)
    cached_runs: int = Field(default=1_000, ge=0)
    link_events: int = Field(default=4_000, ge=20, le=20_000)
    slots: Annotated[Targets | int | None, NoDecode] = None
    prometheus: str | None = None
    health: str | None = None
    log: str = Field(default="text", pattern="^(text|json)$")
    shutdown_seconds: float = Field(default=10.0, ge=0)
    secrets: Path | None = None
    webhook_secret: str | None = Field(default=None, repr=False)
    people_keys: Path | None = None
    require_proof: bool = False
    archive: str | None = None
    archive_every: int = Field(default=500, ge=0)
    archive_days: int | None = Field(default=None, ge=1, le=36_500)
    legal_hold: Annotated[list[str], NoDecode] = Field(default_factory=list[str])
    audit_key: str | None = Field(default=None, repr=False)
    fleet_key: str | None = Field(default=None, repr=False)
    codec_keys: str | None = Field(default=None, repr=False)
    codec_keys_file: Path | None = None
    codec_strict: bool = False
    payload_store: str | None = None
    openai_api_key: str | None = Field(default=None, validation_alias="OPENAI_API_KEY", repr=False)
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")

    @field_validator("agents", "policies", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        return [part for part in value.split(":") if part] if isinstance(value, str) else value

    @field_validator("account_queues", "legal_hold", mode="before")
    @classmethod
    def _queues(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("model_price", mode="before")
    @classmethod
    def _price(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",")]
        prices = {key.strip(): amount.strip() for key, _, amount in pairs}
        if not {"input", "output"} <= set(prices) <= {"input", "cached_input", "cache_write", "output"}:
            raise ValueError("write it as `input=0.25,cached_input=0.025,output=2.00`, in USD per million tokens")
        return prices

    @field_validator("slots", mode="before")
    @classmethod
    def _targets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip() in ("fixed", "resources"):
            return None if value.strip() == "fixed" else Targets()
        if value.strip().isdecimal() and int(value) > 0:
            return int(value)
        pairs = [part.partition("=") for part in value.split(",")]
        try:
            targets = Targets(**{name.strip(): float(part) for name, _, part in pairs})
        except (TypeError, ValueError):
            targets = None
        if targets is None or not all(0 < part <= 1 for part in (targets.memory, targets.cpu)):
            raise ValueError("write a number, `fixed`, `resources`, or parts of the machine as `memory=0.8,cpu=0.9`")
        return targets

    @field_validator("health")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        host, _, port = value.strip().rpartition(":")
        if not port.isdecimal() or not 0 < int(port) <= 65_535:
            raise ValueError("write `host:port`, or the port alone for 127.0.0.1, such as `8081`")
        return f"{host or '127.0.0.1'}:{int(port)}"

    def agent_folders(self, shipped: Path) -> list[Path]:
        """Returns the folders to load agents from.

        Args:
            shipped: the folder of the shipped agents, for when there is no other.
        """
        if self.agents is not None:
            return self.agents
        return [Path("agents")] if Path("agents").is_dir() else [shipped]


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        ConfigurationError: a variable has a value it cannot have; names the variable and what it must be.
    """
    try:
        return Settings()
    except ValidationError as error:
        problem = problems_of(error)[0]
        name = problem.field.split(".")[0]
        variable = name if name.isupper() else f"BACKSTAY_{name.upper()}"
        raise ConfigurationError(problem.problem, where=f"`{variable}`") from None
