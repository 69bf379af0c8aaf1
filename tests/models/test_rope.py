"""Rotary tables equal the official ones, and each placement is where it says."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.refusals import refuses
from vapbench.errors import ErrorKind, UsageError
from vapbench.models.rope import ReferenceRope, cogvideox_rotary, reference_positions, target_positions, wan_rotary

TOLERANCE = 1e-5


def test_cogvideox_tables(rope_folder: Path) -> None:
    tables = load_file(rope_folder / "cogvideox_rope.safetensors")
    placements: dict[str, ReferenceRope] = {"continous_negative": "before", "discrete_long_reference": "far"}
    for entry in json.loads((rope_folder / "cogvideox_rope.json").read_text()):
        frames, references = entry["T"], entry["mot_num"]
        positions = target_positions(frames)
        if references:
            positions = reference_positions(frames, references, placements[entry["ref_type"]])
        cos, sin = cogvideox_rotary(positions, tuple(entry["grid"]), tuple(entry["base"]), entry["embed_dim"])
        torch.testing.assert_close(cos, tables[entry["key"] + ".cos"], atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(sin, tables[entry["key"] + ".sin"], atol=TOLERANCE, rtol=0)


def test_wan_tables(rope_folder: Path) -> None:
    tables = load_file(rope_folder / "wan_rope.safetensors")
    for entry in json.loads((rope_folder / "wan_rope.json").read_text()):
        frames, grid = entry["T"], (entry["h"] // 2, entry["w"] // 2)
        reference = reference_positions(frames, entry["mot_num"])
        for stream, positions in {"target": target_positions(frames), "ref": reference}.items():
            cos, sin = wan_rotary(positions, grid, entry["head_dim"])
            real, imag = (tables[f"{entry['key']}.{stream}.{part}"].flatten(0, 2) for part in ("real", "imag"))
            for half in (slice(0, None, 2), slice(1, None, 2)):
                torch.testing.assert_close(cos[:, half], real, atol=TOLERANCE, rtol=0)
                torch.testing.assert_close(sin[:, half], imag, atol=TOLERANCE, rtol=0)


def test_the_last_reference_touches_the_target() -> None:
    assert reference_positions(3, 2).tolist() == [-6, -5, -4, -3, -2, -1]


def test_far_is_fifty_frames_on() -> None:
    assert reference_positions(3, 1, "far").tolist() == [50, 51, 52]


def test_shared_is_the_target_again() -> None:
    assert reference_positions(2, 2, "shared").tolist() == [0, 1, 0, 1]


def test_far_takes_one_reference() -> None:
    with refuses(UsageError, ErrorKind.CONFLICT, "reference_rope"):
        reference_positions(3, 2, "far")


def test_an_unknown_placement_is_refused() -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "reference_rope", "before, far, shared"):
        reference_positions(3, 1, "continous_negative")  # type: ignore[arg-type]
