"""Tokenizer and text encoder: transformers' T5 classes, with the words of mini captions.

The vocabulary holds whole words, those of scenes and effects. A condition's code name is not among them and
becomes ``<unk>``, like any word nobody ever described: captions with code names cannot give the effect away.

The encoder stands for one that was trained on a great deal of text, so it is trained on text alone: every
token's output must tell what the whole caption says, i.e. the effect and the main subject. It is frozen ever
after.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn
from torch.nn import functional
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from mini_recipe.cards import finish, finish_folder
from mini_recipe.clips import validation_specs
from mini_recipe.data import Effects, MiniData
from mini_recipe.prompts import Mix, Telling, captions_of, told
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import VIVID, BackgroundKind, Shape, draw_scene
from vapbench.training.data import training_specs
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

MAX_LENGTH = 64
"""Tokens of a caption unless the data says otherwise; the longest of the first version has 62."""


@dataclass(frozen=True)
class TextConfig:
    """Sizes of the encoder, and how it is trained."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=1_000, batch=48, learning_rate=4e-3, warmup=50, ema=0.99, precision="float32"
        )
    )
    width: int = 96
    heads: int = 4
    feed_forward: int = 192
    layers: int = 2
    captions: int = 150
    """Clips of each condition whose captions are read."""


def make_tokenizer(captions: Iterable[str], length: int = MAX_LENGTH) -> T5Tokenizer:
    """Return a T5 tokenizer whose pieces are the words of the captions, full stop and comma.

    Args:
        captions: all that it has to know.
        length: tokens of a caption, noted in it.
    """
    counts = Counter(word for caption in captions for word in _words(caption))
    total = sum(counts.values())
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    for word, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        vocabulary.append((word if word in ".," else f"▁{word}", math.log(count / total)))
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=length)


def tokenise(tokenizer: T5Tokenizer, captions: Sequence[str]) -> torch.Tensor:
    """Return token ids ``(B, L)``, padded and cut as the pipelines do it, to the length noted in the tokenizer."""
    tokens = tokenizer(list(captions), padding="max_length", truncation=True, return_tensors="pt")
    ids: torch.Tensor = tokens.input_ids
    return ids


def train_text(output: Path, tokenizer_output: Path, config: TextConfig, run: Run, data: MiniData) -> None:
    """Make the tokenizer, train the encoder, and save both."""
    torch.manual_seed(config.plan.seed)
    specs = training_specs(config.captions, names=data.training)
    captions = captions_of(specs)
    tokenizer = make_tokenizer((caption.plain for caption in captions), data.caption_length)
    silent = torch.tensor([*data.effects.sizes, *_SCENE_SIZES])
    reader = _Reader(config, len(tokenizer), silent.tolist()).to(run.device)
    meanings = _meanings(specs, data.effects).to(run.device)
    ids = {
        telling: tokenise(tokenizer, [told(caption, telling) for caption in captions]).to(run.device)
        for telling in get_args(Telling)
    }

    def objective(step: int, generator: torch.Generator) -> Losses:
        chosen = torch.randint(0, len(specs), (config.plan.batch,), generator=generator)
        tellings = Mix().draw(len(chosen), generator)
        batch = torch.stack([ids[telling][row] for telling, row in zip(tellings, chosen.tolist(), strict=True)])
        return {"loss": reader.loss(batch, _said(meanings[chosen], tellings, silent, len(data.effects.sizes)))}

    if not fit(reader, objective, config.plan, run):
        return
    checked = validation_specs(4, data.benchmark)
    plain = tokenise(tokenizer, [caption.plain for caption in captions_of(checked)]).to(run.device)
    report = {"validation_effect_accuracy": reader.accuracy(plain, _meanings(checked, data.effects).to(run.device))}
    finish(output, "text_encoder", reader.encoder, config, run, report)
    finish_folder(tokenizer_output, "tokenizer", tokenizer.save_pretrained, config, run, {"words": len(tokenizer)})


class _Reader(nn.Module):
    """The encoder with linear readers of what a caption says, on every token."""

    def __init__(self, config: TextConfig, vocabulary: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.encoder: Any = T5EncoderModel(
            T5Config(
                vocab_size=vocabulary,
                d_model=config.width,
                d_kv=config.width // config.heads,
                d_ff=config.feed_forward,
                num_layers=config.layers,
                num_heads=config.heads,
                feed_forward_proj="gated-gelu",
                dropout_rate=0.0,
                is_encoder_decoder=False,
                use_cache=False,
            )
        )
        self.heads = nn.ModuleList(nn.Linear(config.width, count + 1) for count in sizes)

    def loss(self, ids: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of every token's reading, meanings on average."""
        features = self.encoder(ids)[0]
        parts = [
            functional.cross_entropy(head(features).transpose(1, 2), said[:, place, None].expand(-1, ids.shape[1]))
            for place, head in enumerate(self.heads)
        ]
        return torch.stack(parts).mean()

    @torch.no_grad()
    def accuracy(self, ids: torch.Tensor, meanings: torch.Tensor) -> float:
        """Share of captions whose effect is read, all of it, from their tokens on average."""
        heads = list(self.heads)[: meanings.shape[1] - len(_SCENE_SIZES)]
        features = self.encoder(ids)[0]
        read = torch.stack([head(features).mean(dim=1).argmax(dim=1) for head in heads], dim=1)
        return float((read == meanings[:, : len(heads)]).all(dim=1).float().mean())


_SCENE_SIZES = (len(get_args(Shape)), len(VIVID), len(get_args(BackgroundKind)))


def _meanings(specs: Sequence[MiniClip], effects: Effects) -> torch.Tensor:
    """What clips show, int64 ``(B, effects + 3)``: the effect, the main subject's shape and colour, the background."""
    rows = []
    for spec in specs:
        scene = draw_scene(spec.scene)
        rows.append(
            (
                *effects.of(spec.condition),
                get_args(Shape).index(scene.main.shape),
                list(VIVID).index(scene.main.colour),
                get_args(BackgroundKind).index(scene.background.kind),
            )
        )
    return torch.tensor(rows)


def _said(meanings: torch.Tensor, tellings: Sequence[Telling], silent: torch.Tensor, effects: int) -> torch.Tensor:
    """What captions of these kinds say; ``silent`` has the classes of "not said", the first ``effects`` of effects."""
    said = meanings.clone()
    for row, telling in enumerate(tellings):
        if telling != "plain":
            said[row, :effects] = silent[:effects].to(said.device)
        if telling in ("empty", "negative"):
            said[row] = silent.to(said.device)
    return said


def _words(caption: str) -> list[str]:
    return caption.replace(",", " ,").replace(".", " .").split()
