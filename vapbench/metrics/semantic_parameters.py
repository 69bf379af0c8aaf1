"""semantic_alignment[parameters]: how near is what a clip shows to the condition it was meant to show, in numbers?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from vapbench.core.clip import resize_clip
from vapbench.metrics.base import Metric, Score

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


class ParameterSemanticAlignment(Metric):
    """Nearness of the parameters read off the output to those of the case's condition, on the mini suite's grammar.

    Formula: ``100 x max(0, 1 - d(read, meant) / d_any)``, with ``d`` the distance between what two conditions of a
    family do, and ``d_any`` its average over any two. What is read is the condition whose render, on the scene of the
    target's first frame, is nearest to the output by mean absolute difference; the search draws a thousand and is not
    told which is meant. Range: 0 to 100, higher is better; rendered ground truth has 96 to 100, a clip that stands
    still 12 to 25. Source: the paper's alignment score asks a language model whether two videos share their semantic;
    here the renderer knows the truth in numbers. The reference is not looked at, and a copy of it is read on a scene
    that it does not show. Weights: none. About 1.5 s a clip on one core.
    """

    name = "semantic_alignment[parameters]"
    title = "Semantic alignment (parameters)"
    version = 1  # The reader's: see READER_VERSION of vapbench.suites.mini.grammar.reading.
    higher_is_better = True
    unit = "% of the way from any condition to the one meant"
    scale = 1.0
    range = (0.0, 100.0)
    digits = 1
    cases = "those of the mini suite's next version, on conditions of its grammar"

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip; frames are chosen evenly and resized to what the renderer makes.

        Raises:
            NotApplicable: the case is not on a condition of the grammar.
        """
        from vapbench.suites.mini.geometry import SIZE
        from vapbench.suites.mini.grammar.codes import semantics_of
        from vapbench.suites.mini.grammar.reading import read, score
        from vapbench.suites.mini.oracle import grammar_target
        from vapbench.suites.mini.render import FRAMES
        from vapbench.suites.mini.scenes import draw_scene

        target = grammar_target(case)
        meant = semantics_of(target.condition)
        frames = resize_clip(clip.clip, FRAMES, clip.clip.fps, SIZE, SIZE).frames
        found = read(frames, draw_scene(target.scene), meant.category)
        parts = {"reads": asdict(found.semantics), "meant": asdict(meant), "error": found.error}
        return Score(score(found.semantics, meant), parts)
