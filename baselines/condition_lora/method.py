"""One LoRA per condition on CogVideoX-I2V: the reference is not looked at, its condition's adapter is worn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from vapbench import (
    Adapter,
    Case,
    ClipSpec,
    ErrorKind,
    Layer,
    NotApplicable,
    PipelineMethod,
    WeightsError,
    checkpoint_folder,
    find_adapter,
    fingerprint,
    load_upstream_pipeline,
    local_folder,
    put_on,
    training_command,
)

if TYPE_CHECKING:
    import torch


_WORN = "condition"  # torch takes no dots in names, and conditions may have them


@dataclass(kw_only=True, eq=False)
class ConditionLora(PipelineMethod):
    """CogVideoX-I2V wearing the adapter of each case's condition."""

    weights: str = "zai-org/CogVideoX-5b-I2V"
    adapters: str = "loras"
    """Folder of adapters, one folder per condition, as ``vapbench train lora --out`` leaves it."""
    dynamic_guidance: bool = True
    """Whether the scale follows its cosine schedule, as in CogVideoX's own script."""
    strength: float = 1.0
    """Scale of the adapter."""

    # Where adapters lie is recorded; what they are is keyed, by `inputs`.
    unhashed_params = PipelineMethod.unhashed_params | {"adapters"}

    def batch_key(self, case: Case) -> str:
        """Cases of one condition are generated together, so that adapters are swapped as seldom as can be."""
        return case.condition

    def inputs(self, case: Case) -> Sequence[Path | str]:
        """The adapter of the case's condition, if there is one.

        Raises:
            WeightsError: it was trained on another backbone, its file does not fit, or there is no folder of adapters;
                seen here, before anything is loaded or written.
        """
        if not self.folder.is_dir():
            raise WeightsError(
                f"{self.adapters}: no such folder of adapters; check adapters=, or train them: vapbench train lora "
                f"--task all --suite vap-data --data DIR --out {self.adapters}",
                ErrorKind.MISSING,
                "adapters",
            )
        adapter = find_adapter(self.folder, case.condition, self.weights)
        if adapter is None:
            return []
        if base := local_folder(self.weights, self.revision):
            self._layers(adapter, base)
        return adapter.inputs()

    def remarks(self, cases: Sequence[Case]) -> Sequence[str]:
        """Of which conditions nobody here knows what the adapter was trained on."""
        conditions = sorted({case.condition for case in cases})
        found = {name: find_adapter(self.folder, name, self.weights) for name in conditions}
        foreign = [name for name, adapter in found.items() if adapter and adapter.card.adopted]
        more = ", ..." if len(foreign) > 3 else ""
        note = f"Adapters trained elsewhere, on clips not known here: {len(foreign)} of {len(found)} conditions"
        return [f"{note} ({', '.join(foreign[:3])}{more})."] if foreign else []

    def load(self, folder: Path, dtype: torch.dtype) -> Any:
        """Load the base; adapters follow with their cases."""
        self._worn: str | None = None
        return load_upstream_pipeline(folder, "CogVideoXImageToVideoPipeline", dtype)

    def make(self, case: Case, clip: ClipSpec, generator: torch.Generator) -> Any:
        """Animate the first frame with the condition's adapter.

        Raises:
            NotApplicable: nobody has trained one.
        """
        adapter = find_adapter(self.folder, case.condition, self.weights)
        if adapter is None:
            raise NotApplicable(
                f"no LoRA for {case.condition} in {self.adapters}: {training_command(case.condition)}",
                ErrorKind.MISSING,
                "condition",
            )
        self._wear(adapter)
        first = Image.fromarray(case.image.first_frame())
        return self.sample(case.caption, clip, generator, image=first, use_dynamic_cfg=self.dynamic_guidance)

    @property
    def folder(self) -> Path:
        """Where the adapters are."""
        return (
            local_folder(self.adapters) if self.adapters.startswith("vapbench:") else Path(self.adapters).expanduser()
        )

    def _wear(self, adapter: Adapter) -> None:
        """Exchange the adapter; the base stays where it is."""
        condition = adapter.card.condition
        if self._worn == condition:
            return
        layers = self._layers(adapter, checkpoint_folder(self.weights, self.revision))
        with self.at_rest():
            transformer = self.pipeline.transformer
            if self._worn is not None:
                transformer.delete_adapters(_WORN)
            self._worn = None
            put_on(transformer, layers, _WORN)
            transformer.set_adapters([_WORN], [self.strength])
        self._worn = condition

    def _layers(self, adapter: Adapter, base: Path) -> Sequence[Layer]:
        """What an adapter changes in the base; each file is checked once."""
        if not hasattr(self, "_checked"):
            self._checked: dict[str, Sequence[Layer]] = {}
            self._fingerprint = fingerprint(base)
        sha256 = adapter.card.sha256
        if sha256 not in self._checked:
            adapter.check(self._fingerprint, self.weights)
            self._checked[sha256] = adapter.layers(base, self.weights)
        return self._checked[sha256]
