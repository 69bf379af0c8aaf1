"""Coverage-guided fuzzing of a decoder: ``python fuzz/run.py manifest|table|votes [--seconds 180]``.

Needs ``pip install 'vapbench[fuzz,study]'`` (Linux). Findings are written to ``build/fuzz``; make one a seed beside the
others once it is mended, and ``tests/fuzz/test_targets.py`` keeps it mended.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


def main() -> None:
    """Fuzz until the time is over or something is found."""
    import atheris

    with atheris.instrument_imports(include=["vapbench"]):
        from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=180)
    asked = parser.parse_args()
    # Rows that are none are reported one by one: here that is every second input.
    logging.getLogger("vapbench").setLevel(logging.CRITICAL)
    found = HERE.parent / "build" / "fuzz" / asked.target
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={asked.seconds}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=2048"]
    folders = [str(found), str(HERE / "seeds" / asked.target)]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={found}/", *folders], TARGETS[asked.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
