"""How long the fuzzers run: seconds with ``make test``; ``VAPBENCH_FUZZ=long pytest tests/fuzz`` tries thousands."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_ANY_PACE = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
}
# The short form finds what it found before; the long one looks elsewhere each time.
settings.register_profile("short", max_examples=15, derandomize=True, database=None, **_ANY_PACE)  # type: ignore[arg-type]
settings.register_profile("long", max_examples=2000, **_ANY_PACE)  # type: ignore[arg-type]
FORM = os.environ.get("VAPBENCH_FUZZ", "short")
