"""What a version of the suite is trained on: its conditions, who learns which of them, and what is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

from mini_recipe.clips import ALL_NAMES, grammar_codes, validation_specs
from vapbench.files.atomic import digest
from vapbench.suites.mini.cases import MiniCase, benchmark_cases, grammar_cases
from vapbench.suites.mini.grammar.codes import GRAMMAR_VERSION, semantics_of
from vapbench.suites.mini.grammar.parameters import CATEGORIES, FAMILIES, axes
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import scene_number
from vapbench.training.data import SEEN_NAMES

_SHOWN_FROM = 5_000  # validation scenes that no judge looks at


@dataclass(frozen=True)
class Effects:
    """What a caption may say of an effect: one or more things, each of so many kinds."""

    sizes: tuple[int, ...]
    """How many kinds of each thing there are; the kind after the last is "not said"."""
    of: Callable[[str], tuple[int, ...]]
    """The kinds that a condition is of."""


@dataclass(frozen=True)
class MiniData:
    """The conditions of a version of the suite."""

    training: tuple[str, ...]
    """Code names that base and expert are trained on."""
    benchmark: tuple[str, ...]
    """Those of them that the benchmark asks for: base and expert are judged by them, and each gets an adapter."""
    asked: tuple[str, ...]
    """Every condition of the benchmark, those too that no base, expert or adapter sees."""
    judged: tuple[str, ...]
    """What judges learn: conditions of training, and held-out ones too."""
    cases: Callable[[], list[MiniCase]]
    """The benchmark."""
    shown: Callable[[], dict[str, list[MiniClip]]]
    """Validation clips that autoencoders are measured by, by the measurement's name; the last are looked at."""
    effects: Effects
    """What the text encoder learns to read."""
    caption_length: int
    """Tokens of a caption."""
    built_on: Mapping[str, str] = field(default_factory=dict)
    """What identifies the data, for the cards; nothing for the first version, whose renderer's version says it."""

    @property
    def held_out(self) -> tuple[str, ...]:
        """What the benchmark asks for and training does not show."""
        return tuple(name for name in self.asked if name not in self.benchmark)

    def few(self) -> MiniData:
        """Return a handful of its conditions, of every category and of every role, and a clip of each measurement."""
        benchmark, held_out = self.benchmark[::4], self.held_out[:2]
        others = [name for name in self.training if name not in self.benchmark][:1]
        training = (*benchmark, *others)
        shown = {name: specs[:1] for name, specs in self.shown().items()}
        return replace(
            self,
            training=training,
            benchmark=benchmark,
            asked=(*benchmark, *held_out),
            judged=(*training, *held_out),
            shown=partial(dict, shown),
        )


@cache
def first_data() -> MiniData:
    """The 27 seen and six held-out conditions of ``mini@1``."""
    return MiniData(
        training=SEEN_NAMES,
        benchmark=SEEN_NAMES,
        asked=ALL_NAMES,
        judged=ALL_NAMES,
        cases=benchmark_cases,
        shown=_shown_of_first,
        effects=Effects((len(SEEN_NAMES),), _place_among_seen),
        caption_length=64,
    )


@cache
def grammar_data() -> MiniData:
    """Conditions of the grammar: 640 of training, 28 of them and 12 held-out ones in the benchmark."""
    benchmark, held_out = (
        tuple(dict.fromkeys(case.condition for case in grammar_cases() if case.zero_shot == unseen))
        for unseen in (False, True)
    )
    return MiniData(
        training=grammar_codes(),
        benchmark=benchmark,
        asked=(*benchmark, *held_out),
        judged=(*grammar_codes(), *held_out),
        cases=grammar_cases,
        shown=_shown_of_grammar,
        effects=Effects(tuple(map(len, _axes().values())), _places_on_axes),
        caption_length=80,
        built_on={"grammar": digest([GRAMMAR_VERSION, list(grammar_codes())])},
    )


def _shown_of_first() -> dict[str, list[MiniClip]]:
    return {"validation_psnr": validation_specs(1)[:33:3]}


def _shown_of_grammar() -> dict[str, list[MiniClip]]:
    return {
        f"psnr_of_{kind}_conditions": [
            MiniClip(case.condition, number, variation=number)
            for place, case in enumerate([case for case in grammar_cases()[::2] if case.zero_shot == unseen])
            for number in [scene_number("validation", _SHOWN_FROM + place)]
        ]
        for kind, unseen in (("training", False), ("held_out", True))
    }


def _place_among_seen(name: str) -> tuple[int, ...]:
    return (SEEN_NAMES.index(name),)


@cache
def _axes() -> dict[tuple[str, str], tuple[object, ...]]:
    """The values of every parameter, by category and name."""
    return {(c, name): axis.values for c in CATEGORIES for name, axis in axes(FAMILIES[c]).items()}


def _places_on_axes(code: str) -> tuple[int, ...]:
    """Places of a condition's values, parameter by parameter; those of other families are not said."""
    semantics = semantics_of(code)
    return tuple(
        values.index(getattr(semantics, name)) if category == semantics.category else len(values)
        for (category, name), values in _axes().items()
    )
