"""One compaction of a conversation: what is asked, and what stands in place of older turns."""

from pydantic import Field

from backstay.kernel.price import Price

from .decision import BilledUsage, Compaction, LostAttempts
from .problems import Contract


class CompactInput(Contract):
    """The input of `compact`.

    `step` and `previous` name the last decision, by its digest. `room` is the tokens that the whole conversation may
    take afterwards; None halves it. With `attempts` of 0 no model is asked, and older turns are truncated. `model` is
    the model of the run's decisions; the agent may have a cheaper one for this. `pending` is a compaction that no
    decision was told yet.
    """

    number: int
    run_key: str
    step: int
    previous: str | None
    room: int | None
    attempts: int = 0
    max_output_tokens: int = 0
    model: str | None = None
    pending: Compaction | None = None


class CompactResult(LostAttempts):
    """The result of `compact`; `compaction` is None where nothing can be left out, or no usable summary came.

    `size` bounds the tokens of all that the model reads then, without a tokenizer, `added` those of the new words.
    `replaced` is a digest of what it read before. `replied` says that the model was asked and answered.
    """

    lost_attempts: int = 0
    compaction: Compaction | None = None
    size: int = Field(default=0, ge=0)
    added: int = Field(default=0, ge=0)
    replaced: str = ""
    replied: bool = False
    usage: BilledUsage | None = None
    model: str | None = None
    price: Price | None = None
