"""What `vapbench train mini` trains: its stages in order, and the config of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mini_recipe.base import BaseConfig
from mini_recipe.data import MiniData, first_data, grammar_data
from mini_recipe.diffusion import Sampling
from mini_recipe.expert import VARIANTS, ExpertConfig
from mini_recipe.image_text import ImageTextConfig
from mini_recipe.prompts import Mix
from mini_recipe.quality import QualityConfig
from mini_recipe.regressor import RegressorConfig
from mini_recipe.semantic import SemanticConfig
from mini_recipe.text import TextConfig
from mini_recipe.vace import VaceConfig
from mini_recipe.vae import VaeConfig
from mini_recipe.wan_vae import wan_vae_config
from vapbench.training.lora import LoraConfig, mini_lora_config

STAGES = (
    *("vae", "text", "semantic", "classifier", "image_text", "quality"),
    *("base", "i2v", "lora", "wan_vae", "vace", "expert", "vap", "bundle"),
)
"""Those of the first version, in order."""

ASSEMBLED = ("i2v", "vap", "bundle")
"""Stages that train nothing: folders put together from the stages before them."""

FOR_CLAIMS = (*VARIANTS, "single")
"""Stages that the next version's claims compare with each other; each trains as ``expert`` does, for fewer steps."""


@dataclass(frozen=True)
class MiniConfig:
    """What is trained, stage by stage."""

    vae: VaeConfig = field(default_factory=VaeConfig)
    text: TextConfig = field(default_factory=TextConfig)
    semantic: SemanticConfig | RegressorConfig = field(default_factory=SemanticConfig)
    classifier: SemanticConfig = field(
        default_factory=lambda: SemanticConfig(widths=(32, 32, 64, 96, 128), dimension=64, first_scene=300_000)
    )
    image_text: ImageTextConfig = field(default_factory=ImageTextConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    base: BaseConfig = field(default_factory=BaseConfig)
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    compared: ExpertConfig = field(default_factory=ExpertConfig)
    """Of the stages of :data:`FOR_CLAIMS`, which are compared with each other."""
    wan_vae: VaeConfig = field(default_factory=wan_vae_config)
    vace: VaceConfig = field(default_factory=VaceConfig)
    lora: LoraConfig = field(default_factory=mini_lora_config)
    data: MiniData = field(default_factory=first_data)
    stages: tuple[str, ...] = STAGES
    """In order; each needs some of those before it."""
    gate_scenes: int = 2
    """Held-out scenes of each condition on which base and expert are judged."""
    sampling: Sampling = field(default_factory=Sampling)

    def seeded(self, seed: int) -> MiniConfig:
        """Return the config with another seed in every stage."""
        parts: dict[str, Any] = {}
        for name in (*(stage for stage in STAGES if stage not in ASSEMBLED), "compared"):
            part: Any = getattr(self, name)
            parts[name] = replace(part, plan=replace(part.plan, seed=seed))
        return replace(self, **parts)

    def smoke(self) -> MiniConfig:
        """Return the smallest config that runs every line: a test of the machinery, of no other use."""
        return replace(
            self,
            vae=replace(
                self.vae,
                plan=_few(self.vae.plan, 3),
                channels=(8,) * len(self.vae.channels),
                latent_channels=4,
                curriculum=((0.0, 1, 2), (0.5, 5, 1)),
            ),
            text=replace(self.text, plan=_few(self.text.plan, 3), width=16, feed_forward=16, captions=4),
            semantic=replace(
                self.semantic, plan=_few(self.semantic.plan, 2), widths=(8, 8, 8), clips=_few_clips(self.semantic)
            ),
            classifier=replace(self.classifier, plan=_few(self.classifier.plan, 2), widths=(8, 8), clips=1),
            image_text=replace(
                self.image_text, plan=_few(self.image_text.plan, 3), width=16, layers=1, text_width=16, clips=1
            ),
            quality=replace(self.quality, plan=_few(self.quality.plan, 3), clips=1),
            base=replace(self.base, plan=_few(self.base.plan, 3), heads=2, head_dim=16, layers=2, clips=2),
            expert=replace(self.expert, plan=_few(self.expert.plan, 3)),
            compared=replace(self.compared, plan=_few(self.compared.plan, 3)),
            wan_vae=replace(
                self.wan_vae,
                plan=_few(self.wan_vae.plan, 3),
                channels=(8,) * len(self.wan_vae.channels),
                latent_channels=4,
                curriculum=((0.0, 1, 2), (0.5, 5, 1)),
            ),
            vace=replace(
                self.vace,
                plan=_few(self.vace.plan, 3),
                heads=2,
                head_dim=16,
                layers=2,
                control_layers=(0,),
                clips=1,
                sampling=Sampling(steps=2, guidance=1.0),
            ),
            lora=self.lora.smoke(),
            data=self.data.few(),
            gate_scenes=0,
            sampling=Sampling(steps=2),
        )


def _few(plan: Any, steps: int) -> Any:
    return replace(plan, steps=steps, batch=min(plan.batch, 2))


def _few_clips(config: SemanticConfig | RegressorConfig) -> int:
    """A clip of each condition, or one of each family."""
    return 1 if isinstance(config, SemanticConfig) else 4


def _next_version() -> MiniConfig:
    """Finer latents, twice the tokens' length of captions, and conditions of the grammar."""
    first = MiniConfig()
    return replace(
        first,
        data=grammar_data(),
        stages=(*(stage for stage in STAGES if stage != "classifier"), *FOR_CLAIMS),
        vae=replace(
            first.vae,
            plan=replace(first.vae.plan, steps=10_000),
            channels=(16, 32, 64),
            curriculum=((0.0, 1, 8), (0.06, 5, 2), (0.85, 13, 1)),
        ),
        text=replace(
            first.text,
            # At the first version's rate of 4e-3 it settled where it read few captions whole.
            plan=replace(first.text.plan, steps=6_000, learning_rate=1e-3, cooldown=0.8),
            captions=8,
        ),
        semantic=RegressorConfig(),
        image_text=replace(first.image_text, plan=replace(first.image_text.plan, steps=1_500), clips=8),
        quality=replace(first.quality, clips=1),
        base=replace(
            first.base,
            plan=replace(first.base.plan, steps=9_000, warmup=200, cooldown=0.5),
            # At the first version's width of 128 it learnt training clips no better than unseen ones, and both badly.
            heads=3,
            head_dim=64,
            clips=10,
            mix=Mix(plain=0.7, scene=0.1, benchmark=0.08, empty=0.06, negative=0.06),
            noise=(0.5, 1.3),
        ),
        wan_vae=replace(
            first.wan_vae,
            plan=replace(first.wan_vae.plan, steps=8_000),
            channels=(16, 32, 48),
            curriculum=((0.0, 1, 8), (0.1, 5, 2), (0.8, 13, 1)),
        ),
        vace=replace(first.vace, plan=replace(first.vace.plan, steps=4_000), clips=6),
        expert=replace(first.expert, plan=replace(first.expert.plan, steps=4_000)),
        # Seven are trained, for differences between them, not for how far one comes.
        compared=replace(first.expert, plan=replace(first.expert.plan, steps=1_500)),
        lora=replace(first.lora, clips=100),
    )


VERSIONS: Mapping[int, Callable[[], MiniConfig]] = {1: MiniConfig, 2: _next_version}
"""What is trained, by the suite's version."""
