"""Scores for other programs: CSV, Parquet, JSON lines, and a data set folder that describes itself.

Every format holds the frame of :func:`vapbench.report.read.frame.frame_of`, column for column.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import atomic_path, file_sha256, write_text
from vapbench.files.text import counted
from vapbench.report.read.frame import SCHEMA

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "parquet", "jsonl", "dataset"]

_CROISSANT_TYPES = {"string": "sc:Text", "Int64": "sc:Integer", "Float64": "sc:Float"}
# The context that Croissant 1.0 prescribes, as far as this description uses it.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "column": "cr:column",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "recordSet": "cr:recordSet",
    "source": "cr:source",
}


def export(frame: pd.DataFrame, format_: Format, out: Path) -> list[Path]:
    """Write the frame.

    Args:
        frame: the scores.
        format_: ``csv``, ``parquet`` or ``jsonl`` write the file ``out``; ``dataset`` fills the folder ``out``.
        out: where to write.

    Returns:
        The files that were written.

    Raises:
        UsageError: Parquet is asked for and pyarrow is not installed.
    """
    if format_ == "dataset":
        return _write_dataset(frame, out)
    write = {"csv": _to_csv, "parquet": _to_parquet, "jsonl": _to_jsonl}[format_]
    with atomic_path(out) as temporary:
        write(frame, temporary)
    return [out]


def _to_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


def _to_jsonl(frame: pd.DataFrame, path: Path) -> None:
    # Not by to_json, which rounds numbers to ten decimals.
    known = frame.astype(object).where(frame.notna(), None)
    lines = (json.dumps(record, ensure_ascii=False) for record in known.to_dict("records"))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _to_parquet(frame: pd.DataFrame, path: Path) -> None:
    try:
        frame.to_parquet(path, index=False)
    except ImportError as error:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed: pip install pyarrow, or take --format csv.",
            ErrorKind.MISSING,
            "pyarrow",
        ) from error


def _write_dataset(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """A folder that Hugging Face's ``load_dataset`` reads, with a Croissant description."""
    data = folder / "data" / "scores.parquet"
    data.parent.mkdir(parents=True, exist_ok=True)
    export(frame, "parquet", data)
    suites = sorted(frame["suite"].unique())
    card, croissant = folder / "README.md", folder / "croissant.json"
    write_text(card, _card(suites, len(frame)))
    write_text(croissant, json.dumps(_croissant(suites, data, folder), indent=1, ensure_ascii=False) + "\n")
    return [data, card, croissant]


def _card(suites: Sequence[str], rows: int) -> str:
    columns = "\n".join(f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in SCHEMA.items())
    return f"""---
configs:
- config_name: scores
  data_files: data/scores.parquet
tags:
- video-generation
- benchmark
---

# vapbench scores: {", ".join(suites) or "no suite"}

{counted(rows, "row")}, written by `vapbench export --format dataset`: one for every planned case, seed and column of
every run. Scores of superseded videos are not in it. Average seeds within a case first, and cluster intervals by
condition.

| column | type | meaning |
|---|---|---|
{columns}
"""


def _croissant(suites: Sequence[str], data: Path, folder: Path) -> dict[str, Any]:
    content = data.relative_to(folder).as_posix()
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "vapbench-scores",
        "description": f"Scores of semantic-controlled video generation on {', '.join(suites) or 'no suite'}.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "scores.parquet",
                "name": "scores.parquet",
                "contentUrl": content,
                "encodingFormat": "application/x-parquet",
                "sha256": file_sha256(data),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "scores",
                "name": "scores",
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"scores/{name}",
                        "name": name,
                        "description": meaning,
                        "dataType": _CROISSANT_TYPES[kind],
                        "source": {"fileObject": {"@id": "scores.parquet"}, "extract": {"column": name}},
                    }
                    for name, (kind, meaning) in SCHEMA.items()
                ],
            }
        ],
    }
