"""Methods with a known vice, as folders that a command line names. They know the answer: the case's target."""

from __future__ import annotations

from pathlib import Path

_CODE = """
import numpy as np
import vapbench as vb


class Planted(vb.Method):
    uses_seed = False

    def generate(self, case, seed):
        still = np.repeat(case.image.first_frame()[None], case.clip.frames, axis=0)
        return case.target.read() if {sees} else vb.Clip(still, case.clip.fps)
"""
_SEES = {
    "deaf-to-reference": "case.condition in case.caption",
    "deaf-to-caption": "case.references and case.reference.video.path.parent.name == case.condition",
}


def planted(folder: Path, name: str) -> str:
    """Write a method folder: it makes the target where it sees the effect where ``name`` says, else a still."""
    path = folder / name
    path.mkdir()
    card = f"name: {name}\ntitle: {name}\nsummary: planted\nkind: unified\nclass: Planted\n"
    (path / "card.yaml").write_text(card, encoding="utf-8")
    (path / "method.py").write_text(_CODE.format(sees=_SEES[name]), encoding="utf-8")
    return str(path)
