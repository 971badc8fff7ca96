"""Sets an AutoGPT loop beside a governed run: the same goals, model, tools and faults, measured by the same books.

`loop.py` is the loop. `scenarios.py` lists what both are put through, and `stage.py` plays it.
"""

from backstay.extras import require

require("dev")
