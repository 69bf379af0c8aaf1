"""Exact arithmetic, whatever the program around it has set."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import torch
from vapbench.metrics.features.precision import exact_float32
matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
{prepare}
def state():
    return {read}
before = state()
for _ in range(2):
    with torch.autocast("cpu", torch.bfloat16), exact_float32(torch.device("cpu")):
        assert matmul.fp32_precision == cudnn.conv.fp32_precision == 'ieee'
        product = torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)
        assert product.dtype == torch.float32 and not product.requires_grad
assert state() == before, (state(), before)
"""
OLDER = "(matmul.allow_tf32, cudnn.allow_tf32)"
NEWER = "(matmul.fp32_precision, cudnn.conv.fp32_precision)"


@pytest.mark.parametrize(
    ("prepare", "read"),
    [
        pytest.param("", OLDER, marks=pytest.mark.slow),
        ("matmul.allow_tf32 = True; cudnn.allow_tf32 = False", OLDER),
        ("torch.backends.fp32_precision = 'tf32'", NEWER),
    ],
)
def test_settings_are_exact_inside_and_restored_after(prepare: str, read: str) -> None:
    program = PROGRAM.format(prepare=prepare, read=read)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
