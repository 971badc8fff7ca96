"""Holds every exception that Backstay raises on purpose.

    BackstayError
    ├── ConfigurationError        a setting, an agent folder or a rule cannot be used
    │   └── MissingExtraError     a part of Backstay is not installed
    ├── UnreachableError          no Temporal server answers
    ├── InvalidInputError         a start cannot be admitted
    ├── RunError                  something about one run
    │   ├── RunNotFoundError      no run has that id
    │   ├── RunExistsError        a run with that id has closed, so it cannot be started again
    │   ├── RunConflictError      the id belongs to a run with another input
    │   ├── RunClosedError        the run has closed and takes no more messages
    │   ├── NoResultError         the run closed without a result
    │   ├── NoWorkerError         no worker answered for the run in time
    │   │   └── PausedByEngineError    the engine holds the run's tasks back
    │   └── RefusedError          the run refused a message
    │       └── CrowdedError      it takes no more messages of that kind
    ├── ModelError                a request to the model brought no usable reply
    ├── NothingDoneError          an activity did nothing, and may be asked again
    │   ├── HeldError             the control plane holds what the run is about to do
    │   ├── UnservedError         this worker does not serve a run's agent
    │   │   └── UnservedToolError     or not a tool of it as the run was admitted with it
    │   └── UnreachedError        the server of a tool cannot be reached
    ├── HistoryError              a history lacks something that it must hold
    │   └── HistoryGoneError      the engine keeps no history of that run
    ├── ForeignRunError           a workflow asks that no worker of this task queue runs
    ├── EffectUnreachedError      a shared effect could not be asked for its result
    ├── LedgerUnansweredError     a ledger does not say whether there is room
    ├── ControlUnansweredError    the control plane does not say that it obeys an order
    ├── OrderRefusedError         the control plane says no to an order
    ├── NoticeError               a notice of an approval was not taken
    ├── ArchiveError              the archive does not take evidence, or does not have it
    ├── CodecError                a payload cannot be decrypted with the keys at hand
    ├── ToolError                 a tool refuses a call
    │   ├── AskedError            its server asks people before it goes on
    │   ├── SecretError           a tool may not read a secret, or the worker lacks it
    │   └── SchemaDriftError      a tool is not the one that the run was admitted with
    └── OutcomeUnknownError       a tool cannot tell whether its effect happened
        └── CallLostError         its server was lost before it answered

`code` is stable; at a Temporal boundary it is the type of the ApplicationError.
"""

from .base import BackstayError as BackstayError
from .control import ControlUnansweredError as ControlUnansweredError
from .control import OrderRefusedError as OrderRefusedError
from .engine import EffectUnreachedError as EffectUnreachedError
from .engine import ForeignRunError as ForeignRunError
from .engine import HistoryError as HistoryError
from .engine import HistoryGoneError as HistoryGoneError
from .engine import LedgerUnansweredError as LedgerUnansweredError
from .model import ModelError as ModelError
from .run import CrowdedError as CrowdedError
from .run import NoResultError as NoResultError
from .run import NoWorkerError as NoWorkerError
from .run import PausedByEngineError as PausedByEngineError
from .run import RefusedError as RefusedError
from .run import RunClosedError as RunClosedError
from .run import RunConflictError as RunConflictError
from .run import RunError as RunError
from .run import RunExistsError as RunExistsError
from .run import RunNotFoundError as RunNotFoundError
from .start import ConfigurationError as ConfigurationError
from .start import InvalidInputError as InvalidInputError
from .start import MissingExtraError as MissingExtraError
from .start import UnreachableError as UnreachableError
from .tool import AskedError as AskedError
from .tool import CallLostError as CallLostError
from .tool import OutcomeUnknownError as OutcomeUnknownError
from .tool import SchemaDriftError as SchemaDriftError
from .tool import SecretError as SecretError
from .tool import ToolError as ToolError
from .worker import ArchiveError as ArchiveError
from .worker import CodecError as CodecError
from .worker import HeldError as HeldError
from .worker import NothingDoneError as NothingDoneError
from .worker import NoticeError as NoticeError
from .worker import UnreachedError as UnreachedError
from .worker import UnservedError as UnservedError
from .worker import UnservedToolError as UnservedToolError
