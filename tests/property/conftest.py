"""Sets the examples of each property: a fixed few by default, many random ones with BACKSTAY_SOAK=1."""

import os

from hypothesis import HealthCheck, settings

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile("small", max_examples=60, deadline=None, derandomize=True, suppress_health_check=SLOW)
settings.register_profile("soak", max_examples=2_000, deadline=None, print_blob=True, suppress_health_check=SLOW)
settings.load_profile("soak" if os.environ.get("BACKSTAY_SOAK") == "1" else "small")
