"""A study's analysis as JSON: in full, and as a section for a leaderboard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from vapbench.stats import STATISTICS_VERSION
from vapbench.stats.clusters import Interval
from vapbench.study.analysis.details import details_of
from vapbench.study.analysis.models import ModelReport
from vapbench.study.analysis.results import StudyResult
from vapbench.study.protocol import ANALYSIS_VERSION

SCHEMA = 1


def to_json(result: StudyResult, models: Sequence[ModelReport] = ()) -> dict[str, Any]:
    """Everything the report prints, and what names the data it comes from; models' votes apart from people's."""
    details = details_of(result)
    return {
        **_provenance(result),
        **({"details": [plain(each) for each in details]} if details else {}),
        "questions": [plain(question) for question in result.questions],
        "all_raters": [plain(question) for question in result.everyone],
        "raters": [plain(person) for person in result.people],
        "exclusion_rules": result.protocol.exclusions.model_dump(mode="json"),
        **({"models": [plain(model) for model in models]} if models else {}),
    }


def leaderboard_section(result: StudyResult) -> dict[str, Any]:
    """One row per question and method: the share that compares with a preference rate, and possible ranks."""
    return {
        **_provenance(result),
        "statistic": "choice_share" if result.choice else "luce_share",
        "rows": [
            {
                "question": question.question,
                "method": method.name,
                **_share(method.share if result.choice and method.share else method.luce_share),
                "rank": method.rank,
                "votes": method.shown,
            }
            for question in result.questions
            for method in question.methods
        ],
    }


def _share(interval: Interval) -> dict[str, Any]:
    return {"value": interval.estimate, "low": interval.low, "high": interval.high, "reason": interval.reason}


def _provenance(result: StudyResult) -> dict[str, Any]:
    protocol, ballots = result.protocol, result.ballots
    return {
        "schema": SCHEMA,
        "study": protocol.id,
        "title": protocol.title,
        "suite": protocol.suite,
        "kind": protocol.kind,
        "protocol_sha256": protocol.sha256,
        "votes_sha256": ballots.head,
        "analysis_version": ANALYSIS_VERSION,
        "statistics_version": STATISTICS_VERSION,
        "seed": protocol.seed,
        "raters": len(result.people),
        "excluded_raters": len(result.excluded),
        "items": len(protocol.cases),
        "votes": result.votes,
        "target_votes": result.target,
        "closed": ballots.closed,
        "seen_before_closing": [{"at_us": look.at_us, "what": look.detail} for look in ballots.looks],
        "methods": {
            method.name: {"run": method.run, "identity": method.identity} for method in ballots.key.methods.values()
        },
    }


def plain(value: Any) -> Any:
    """Data classes as objects; a number that is none as null, since JSON has neither infinity nor NaN."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(item) for name, item in asdict(value).items()}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
