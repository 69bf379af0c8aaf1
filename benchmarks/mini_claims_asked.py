"""What the claims of the mini suite's next version are: which runs, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vapbench.core.case import Case, Reference
from vapbench.suites.mini.cases import MiniCase, grammar_cases
from vapbench.suites.mini.conditions import CATEGORIES
from vapbench.suites.mini.grammar.codes import semantics_of
from vapbench.suites.mini.grammar.distance import distance

KNOWN: Mapping[str, MiniCase] = {case.id: case for case in grammar_cases()}
TRAINED = tuple(dict.fromkeys(case.condition for case in KNOWN.values() if not case.zero_shot))
"""The benchmark's conditions of training, each of which has a LoRA."""


def belongs(case: MiniCase, group: str) -> bool:
    """Whether a case is in a group: ``seen``, ``zero-shot``, ``all``, or a category's seen ones."""
    if group in CATEGORIES:
        return case.category == group and not case.zero_shot
    return group == "all" or case.zero_shot == (group == "zero-shot")


def two_references(cases: Sequence[Case]) -> list[Case]:
    """Each case with the reference of its condition's other case besides its own."""
    others = {
        case.id: next(each for each in cases if each.condition == case.condition and each.id != case.id)
        for case in cases
    }
    return [case.model_copy(update={"references": case.references + others[case.id].references}) for case in cases]


def own_control(cases: Sequence[Case]) -> list[Case]:
    """Each case with its own ground truth as reference."""
    references = [(Reference(video=case.target, caption=case.caption),) for case in cases if case.target]
    return [case.model_copy(update={"references": each}) for case, each in zip(cases, references, strict=True)]


def nearest_trained(cases: Sequence[Case]) -> list[Case]:
    """Each case called after the condition of training nearest to its own, so that this one's LoRA is worn."""
    return [case.model_copy(update={"condition": _nearest(case.condition)}) for case in cases]


def _nearest(code: str) -> str:
    own = semantics_of(code)
    among = [other for other in TRAINED if semantics_of(other).category == own.category]
    return min(among, key=lambda other: distance(semantics_of(other), own))


def as_they_are(cases: Sequence[Case]) -> list[Case]:
    """The benchmark's own cases."""
    return list(cases)


@dataclass(frozen=True)
class Clips:
    """A run: which method makes clips, and of what."""

    method: str
    """As the command line spells it; ``{out}`` is the trained folder."""
    needs: tuple[str, ...]
    """Stages."""
    group: str = "all"
    shown: Callable[[Sequence[Case]], list[Case]] = as_they_are
    """What the method is shown of the cases; their ids decide what a clip is scored against."""


def _expert(stage: str, more: str = "", group: str = "all") -> Clips:
    return Clips(f"vap:weights={{out}}/{stage},base={{out}}/vap{more}", (stage, "vap"), group)


RUNS: Mapping[str, Clips] = {
    "told": Clips("i2v:weights={out}/i2v,captions=plain", ("i2v",)),
    "base": Clips("i2v:weights={out}/i2v", ("i2v",)),
    "vap": Clips("vap:weights={out}/vap", ("vap",)),
    "vap-two": Clips("vap:weights={out}/vap,references=2", ("vap",), shown=two_references),
    "expert_20": _expert("expert_20", group="zero-shot"),
    "expert_40": _expert("expert_40", group="zero-shot"),
    "expert_80": _expert("expert_80", group="zero-shot"),
    "expert_160": _expert("expert_160"),
    "expert_shared": _expert("expert_shared", ",reference_rope=shared"),
    "expert_far": _expert("expert_far", ",reference_rope=far"),
    "lora": Clips("lora:weights={out}/i2v,adapters={out}/lora", ("i2v", "lora"), "seen"),
    "lora-elsewhere": Clips(
        "lora:weights={out}/i2v,adapters={out}/lora", ("i2v", "lora"), "zero-shot", nearest_trained
    ),
    "single": Clips("vap:weights={out}/single", ("single",)),
    "single-told": Clips("i2v:weights={out}/single,captions=plain", ("single",), "seen"),
    "vace-original": Clips("vace-original:weights={out}/vace", ("vace",), "seen"),
    "vace-depth": Clips("vace-depth:weights={out}/vace", ("vace",), "seen"),
    "vace-flow": Clips("vace-flow:weights={out}/vace", ("vace",), "seen"),
    "vace-own": Clips("vace-original:weights={out}/vace", ("vace",), "seen", own_control),
}


@dataclass(frozen=True)
class Ask:
    """A mean of a run over a group of cases, or what one run has more than another."""

    what: str
    group: str
    run: str
    minus: str = ""
    """The run to subtract, case by case."""
    psnr: bool = False
    """Whether decibels against the target are asked for, in place of scores."""
    least: float | None = None
    most: float | None = None
    conditions: int | None = None
    """Conditions of each category that the model was trained on, where that is what varies."""

    @property
    def unit(self) -> str:
        """What the number is in."""
        return "dB" if self.psnr else "points" if self.minus else "score"

    @property
    def aim(self) -> str:
        """What was aimed at, in words."""
        if self.most is not None:
            return f"at most {self.most:g}"
        if self.least is None:
            return ""
        return f"at least {self.least:g}" + (", interval above 0" if self.minus else "")

    def met(self, mean: float, low: float | None) -> bool | None:
        """Whether it came out; None where nothing was aimed at."""
        if self.most is not None:
            return mean <= self.most
        if self.least is None:
            return None
        return mean >= self.least and (not self.minus or (low is not None and low > 0))


def _both_groups(*asks: tuple[str, str, str]) -> tuple[Ask, ...]:
    return tuple(
        Ask(f"{what}, {group}", group, run, minus) for group in ("seen", "zero-shot") for what, run, minus in asks
    )


CLAIMS: Mapping[str, tuple[str, tuple[Ask, ...]]] = {
    "seen": (
        "Conditions of training: Video-As-Prompt against its base told in words",
        tuple(
            ask
            for category in CATEGORIES
            for ask in (
                Ask(f"base, told, {category}", category, "told"),
                Ask(f"vap, {category}", category, "vap"),
                Ask(f"told - vap, {category}", category, "told", "vap", most=10),
            )
        ),
    ),
    "zero-shot": (
        "Conditions no stage has seen: Video-As-Prompt against its base",
        (
            Ask("base", "zero-shot", "base"),
            Ask("vap", "zero-shot", "vap"),
            Ask("base, told", "zero-shot", "told"),
            Ask("vap - base", "zero-shot", "vap", "base", least=25),
        ),
    ),
    "curve": (
        "Conditions no stage has seen, by the number of conditions trained on",
        (
            *(Ask(f"{n} of each category", "zero-shot", f"expert_{n}", conditions=n) for n in (20, 40, 80, 160)),
            Ask("160 - 20", "zero-shot", "expert_160", "expert_20"),
        ),
    ),
    "positions": (
        "Where the reference is on the target's time axis, each expert trained so",
        _both_groups(
            ("before", "expert_160", ""),
            ("shared", "expert_shared", ""),
            ("far", "expert_far", ""),
            ("before - shared", "expert_160", "expert_shared"),
            ("before - far", "expert_160", "expert_far"),
        ),
    ),
    "lora": (
        "A LoRA where it was trained, and the nearest one elsewhere",
        (
            Ask("lora, seen", "seen", "lora"),
            Ask("vap, seen", "seen", "vap"),
            Ask("nearest lora, zero-shot", "zero-shot", "lora-elsewhere"),
            Ask("vap, zero-shot", "zero-shot", "vap"),
            Ask("lora - base, seen", "seen", "lora", "base"),
            Ask("nearest lora - base, zero-shot", "zero-shot", "lora-elsewhere", "base"),
            Ask("vap - nearest lora, zero-shot", "zero-shot", "vap", "lora-elsewhere"),
        ),
    ),
    "single": (
        "An expert beside a frozen base, and the base itself trained as long",
        (
            *_both_groups(
                ("expert", "expert_160", ""),
                ("single branch", "single", ""),
                ("expert - single", "expert_160", "single"),
            ),
            Ask("base, told, before", "seen", "told"),
            Ask("base, told, after", "seen", "single-told"),
            Ask("base, told: after - before", "seen", "single-told", "told"),
        ),
    ),
    "structure": (
        "Structure control by the reference, and by the target itself",
        (
            *(Ask(f"{kind} of the reference", "seen", f"vace-{kind}") for kind in ("original", "depth", "flow")),
            Ask("vap", "seen", "vap"),
            Ask("original of the target itself", "seen", "vace-own"),
            Ask("target rebuilt under its own control", "seen", "vace-own", psnr=True, least=25),
        ),
    ),
    "two-references": (
        "Two references of the condition against one",
        _both_groups(("one", "vap", ""), ("two", "vap-two", ""), ("two - one", "vap-two", "vap")),
    ),
}
"""What each claim's rows are, by name, with its title."""
