"""Print what one picture, and one case, costs a judge in tokens by every published rule that the estimate knows.

python benchmarks/judge_tokens.py
"""

from __future__ import annotations

from vapbench.metrics.judge.question import scaled_size
from vapbench.metrics.judge.tokens import RULES

SIZES = {"mini": (64, 64), "CogVideoX, 480 x 720": (480, 720), "Wan, 480 x 832": (480, 832), "square": (1024, 1024)}
PICTURES = 3 * (2 * 8 + 1)
"""Of one case with the default parameters: three answers, eight frames of either video and the first frame."""


def main() -> None:
    """Print a table, tokens of a picture and, in brackets, thousands for a case's pictures."""
    print(f"{'':24}" + "".join(f"{name:>24}" for name in SIZES))
    shown = {name: scaled_size(*size) for name, size in SIZES.items()}
    print(f"{'as shown to the judge':24}" + "".join(f"{f'{h} x {w}':>24}" for h, w in shown.values()))
    for name, rule in RULES.items():
        counts = [rule.tokens(*size) for size in shown.values()]
        print(f"{name:24}" + "".join(f"{f'{count:,} ({count * PICTURES / 1000:,.0f}k)':>24}" for count in counts))
    for name, rule in RULES.items():
        print(f"{name}: {rule.source}.")


if __name__ == "__main__":
    main()
