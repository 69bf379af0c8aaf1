"""Keys: one hash of all that decides a generation or a score, so that a result is used again exactly where it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from vapbench.files.atomic import canonical_json, digest, is_reserved
from vapbench.results.rows import SCHEMA

_LONGEST_SLUG = 160


def generation_keys(
    method: Mapping[str, Any], case: Mapping[str, Any], inputs: list[str], seeds: Iterable[int]
) -> list[str]:
    """Keys of a case's generations, one a seed: SHA-256 over everything that can change their frames.

    Each is the digest of canonical JSON, of which all but the seed is hashed once.

    Args:
        method: name, version, keyed parameters and identity (weights).
        case: :meth:`vapbench.core.case.Case.content`: captions, media hashes, clip spec.
        inputs: hashes of further files the method reads for the case.
        seeds: the seeds.
    """
    shared = _hash_of(canonical_json({"schema": SCHEMA, "method": method, "case": case, "inputs": inputs})[:-1])
    return [_digest_with(shared, f',"seed":{seed:d}}}') for seed in seeds]


class ScoreKeys:
    """Keys of the scores of one metric: the digest of canonical JSON, of which what they share is spelled once."""

    def __init__(self, metric: Mapping[str, Any]) -> None:
        """Of a metric: its name, version, parameters and weights."""
        self._metric = canonical_json(metric)

    def begin(self, case: str) -> Any:
        """The hash that the keys of all videos of a case begin with.

        Args:
            case: canonical JSON of the case: its id, and a hash of the fields that the metric needs.
        """
        return _hash_of(f'{{"case":{case},"metric":{self._metric},"schema":{SCHEMA}')


def score_keys(begun: Iterable[Any], seed: int, video_sha256: str) -> list[str]:
    """Keys of the scores of one video, one a metric: SHA-256 over everything that can change a value, and whose it is.

    Args:
        begun: of each metric what :meth:`ScoreKeys.begin` returned.
        seed: the generation's; two seeds may give equal videos, as may two cases.
        video_sha256: hash of the video.
    """
    # Digits need no escape, and a million of them need not be looked through for one.
    video = f'"{video_sha256}"' if video_sha256.isalnum() else canonical_json(video_sha256)
    ending = f',"seed":{seed:d},"video":{video}}}'.encode()
    keys = []
    for shared in begun:
        whole = shared.copy()
        whole.update(ending)
        keys.append(whole.hexdigest())
    return keys


def _hash_of(text: str) -> Any:
    return hashlib.sha256(text.encode())


def _digest_with(shared: Any, text: str) -> str:
    whole = shared.copy()
    whole.update(text.encode())
    digits: str = whole.hexdigest()
    return digits


def needed_sha256(needs: Iterable[str], hashes: Mapping[str, str]) -> str:
    """One hash for the case fields a metric needs, from the hash of each."""
    return digest({need: hashes[need] for need in sorted(needs)})


def params8(params: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that tell parameter sets apart in file names."""
    return digest(params)[:8]


def column_slug(metric: str, params: Mapping[str, Any]) -> str:
    """File-name form of a metric column: ``dynamic_degree[raft]`` -> ``dynamic_degree-raft``, parameters as a hash."""
    slug = "".join(c if (c.isascii() and c.isalnum()) or c in "._" else "-" for c in metric).strip("-.")
    if not metric.isascii() or len(slug) > _LONGEST_SLUG or not slug or is_reserved(slug):
        slug = f"metric-{slug[:_LONGEST_SLUG]}-{digest(metric)[:8]}"
    return f"{slug}~{params8(params)}" if params else slug
