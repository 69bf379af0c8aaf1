"""Names to metrics."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.metrics.conftest import CPU, TinyWeights, moving_clip, view
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.metrics import REGISTRY, resolve
from vapbench.metrics.base import BatchMetric, Metric

MY_METRIC = '''
"""A metric of one's own."""

from vapbench import Metric, Score


class Brightness(Metric):
    """Mean brightness, 0 to 255."""

    name = "brightness"
    version = 1
    higher_is_better = True
    unit = "grey level"
    needs = frozenset()

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def setup(self, device):
        pass

    def score(self, clip, case):
        return Score(self.gain * float(clip.frames.mean()))


class Taken(Brightness):
    name = "temporal_flickering"


class NoMetric:
    name = "nothing"
'''


ODD = """
import vapbench as vb


class Odd(vb.Metric):
    {}

    def score(self, clip, case):
        return 0.5
"""


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("higher_is_better = 0", "higher_is_better"),
        ("unit = None", "unit"),
        ("digits = 400", "digits"),
        ("scale = '100'", "scale"),
        ("range = (float('nan'), 1)", "range"),
        ("version = 1.5", "version"),
        ("needs = 'prompt'", "needs"),
        ("invariant_to = 'darker'", "invariant_to"),
    ],
)
def test_what_no_manifest_could_hold_is_refused_before_anything_is_written(
    tmp_path: Path, line: str, field: str
) -> None:
    (tmp_path / "odd.py").write_text(ODD.format(line))
    with refuses(UsageError, ErrorKind.INVALID, field, f"{field} is", "odd.py:Odd"):
        resolve(f"{tmp_path / 'odd.py'}:Odd")


def test_a_class_is_called_by_its_own_name_whatever_it_derives_from() -> None:
    class BrightBatch(BatchMetric): ...

    class DarkBatch(BrightBatch): ...

    class Named(DarkBatch):
        name = "called[so]"

    class Heir(Named): ...

    assert [cls.name for cls in (BrightBatch, DarkBatch, Named, Heir)] == [
        *("bright_batch", "dark_batch", "called[so]", "called[so]")
    ]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my.py"
    path.write_text(MY_METRIC)
    return path


def test_the_built_in_names() -> None:
    assert [entry.name for entry in REGISTRY if entry.origin == "built in"] == [
        "text_alignment[clip]",
        "text_alignment[viclip]",
        "aesthetic_quality",
        "dynamic_degree[raft]",
        "dynamic_degree[dis]",
        "motion_smoothness[amt]",
        "motion_smoothness[warp]",
        "temporal_flickering",
        "first_frame_psnr",
        "camera_agreement",
        "motion_agreement",
        "style_agreement",
        "reference_leakage[pixels]",
        "semantic_alignment[embedding]",
        "semantic_alignment[parameters]",
        "text_alignment[mini-clip]",
        "aesthetic_quality[mini]",
        "semantic_alignment[judge]",
        "semantic_alignment[local]",
        "subject_consistency",
        "background_consistency",
        "i2v_subject",
        "reference_leakage",
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("text_alignment", "text_alignment[clip]"),
        ("dynamic_degree", "dynamic_degree[raft]"),
        ("dynamic_degree[dis]", "dynamic_degree[dis]"),
        ("motion_smoothness", "motion_smoothness[amt]"),
        ("aesthetic_quality", "aesthetic_quality"),
        ("reference_leakage", "reference_leakage"),
    ],
)
def test_a_bare_name_is_its_first_variant(text: str, name: str) -> None:
    metric, changed = resolve(text)
    assert (metric.name, changed) == (name, {})


def test_only_changed_parameters_set_a_column_apart(tiny: TinyWeights) -> None:
    assert resolve("text_alignment[clip]:model=ViT-B-32")[1] == {"model": "ViT-B-32"}
    assert resolve("text_alignment[clip]:model=ViT-L-14")[1] == {}
    assert resolve("dynamic_degree[dis]:vbench_quirks=true")[1] == {"vbench_quirks": True}
    assert resolve(f"dynamic_degree:weights={tiny.raft}")[1] == {"weights": str(tiny.raft)}


@pytest.mark.parametrize(
    ("text", "kind", "field", "named"),
    [
        ("temporal_flikering", ErrorKind.UNKNOWN, "metric", "Did you mean temporal_flickering"),
        ("text_alignment[clop]", ErrorKind.UNKNOWN, "metric", "Did you mean text_alignment[clip]"),
        ("text_alignment:modl=ViT-B-32", ErrorKind.UNKNOWN, "modl", "Did you mean model"),
        ("dynamic_degree:vbench_quirks=perhaps", ErrorKind.INVALID, "vbench_quirks", "vbench_quirks=perhaps"),
        ("temporal_flickering:window=2", ErrorKind.UNKNOWN, "window", "temporal_flickering"),
    ],
)
def test_mistakes_have_a_suggestion(text: str, kind: ErrorKind, field: str, named: str) -> None:
    with refuses(UsageError, kind, field, named):
        resolve(text)


def test_a_metric_from_a_file(own: Path, case: Case) -> None:
    metric, changed = resolve(f"{own}:Brightness:gain=2")
    assert isinstance(metric, Metric)
    assert changed == {"gain": 2.0}
    metric.setup(CPU)
    clip = moving_clip()
    assert metric.score(view(clip, case), case).value == pytest.approx(2 * clip.frames.mean())


def test_a_file_cannot_take_a_built_in_name(own: Path) -> None:
    with refuses(UsageError, ErrorKind.CONFLICT, "name"):
        resolve(f"{own}:Taken")


def test_a_class_that_is_no_metric_is_refused(own: Path) -> None:
    with refuses(VapbenchError, ErrorKind.INVALID, "metric", "NoMetric"):
        resolve(f"{own}:NoMetric")


def test_an_unknown_class_has_a_suggestion(own: Path) -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "Brightnes"):
        resolve(f"{own}:Brightnes")


def test_planning_imports_no_model_library(tiny: TinyWeights) -> None:
    texts = [entry.name for entry in REGISTRY if entry.origin == "built in"]
    texts += [tiny.spec(name) for name in texts]
    texts += ["torchmetrics:image.PeakSignalNoiseRatio", "torchmetrics:image.TotalVariation"]
    program = f"""
import sys
from vapbench.checkpoints import catalogue as weights
from vapbench.checkpoints import fetching
from vapbench.metrics import resolve
from vapbench.metrics.base import weights_of
for text in {texts!r}:
    metric, _ = resolve(text)
    metric.needs, metric.higher_is_better, metric.unit, weights_of(metric)
fetching.verify("raft-large")
libraries = {{"torch", "torchvision", "cv2", "open_clip", "torchmetrics", "huggingface_hub"}}
heavy = libraries & set(sys.modules)
sys.exit(f"imported: {{sorted(heavy)}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd(), check=False)
    assert done.returncode == 0, done.stderr
