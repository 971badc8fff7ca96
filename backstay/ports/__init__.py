"""The ports: what activities need from the outside world, one Protocol each."""

from .control import BreakerReports as BreakerReports
from .control import Control as Control
from .control import Orders as Orders
from .control import ScopedRuns as ScopedRuns
from .engine import Attempts as Attempts
from .engine import Claiming as Claiming
from .engine import Effects as Effects
from .engine import History as History
from .engine import Starts as Starts
from .ledgers import Allowances as Allowances
from .ledgers import LedgerRuns as LedgerRuns
from .ledgers import Ledgers as Ledgers
from .model import Models as Models
from .model import Quotas as Quotas
from .model import Rates as Rates
from .model import Turns as Turns
from .notices import Alarms as Alarms
from .notices import Notifier as Notifier
from .policy import Gate as Gate
from .policy import Grants as Grants
from .policy import Proofs as Proofs
from .tools import Catalog as Catalog
from .tools import Secrets as Secrets
from .tools import Tool as Tool
from .tools import Tools as Tools
