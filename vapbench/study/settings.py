"""``study.yaml``: what a researcher decides about a study in words, beside the protocol that ``plan`` writes."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from vapbench.errors import DataError
from vapbench.files.parsing import read_yaml
from vapbench.study.folder import StudyFolder
from vapbench.study.protocol import Frozen
from vapbench.study.server.recruitment import BY_LINK, Recruitment

STUDY_FILE = "study.yaml"


class StudyFile(Frozen):
    """The file; everything in it is optional."""

    recruitment: Recruitment = BY_LINK
    """Read when the study is served, and not frozen: codes and addresses may be corrected."""


def settings_path(folder: StudyFolder) -> Path:
    """Where a study's ``study.yaml`` is."""
    return folder.path / STUDY_FILE


def read_settings(folder: StudyFolder) -> StudyFile:
    """Read ``study.yaml``; without one everything is as it comes.

    Raises:
        DataError: it is not valid; the message names the entry.
    """
    import yaml

    path = settings_path(folder)
    if not path.is_file():
        return StudyFile()
    try:
        return StudyFile.model_validate(read_yaml(path) or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{path}: {where}: {first['msg']}; correct the entry (docs/guides/study.md).") from error
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{path}: {error}; correct it.") from error
