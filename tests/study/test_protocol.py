"""The protocol is final once a study is open; the log of votes shows every change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.refusals import refuses
from tests.study.conftest import code, key_of, make_protocol
from vapbench.errors import DataError, ErrorKind, IdentityError, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.study.folder import StudyFolder, find_study
from vapbench.study.protocol import Check, MediaFacts
from vapbench.study.votes import GENESIS, Vote, check_chain


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A planned study whose media exist."""
    protocol = make_protocol(methods=2, cases=2)
    (tmp_path / "media").mkdir()
    facts = {}
    for media in protocol.media:
        path = tmp_path / "media" / f"{media}.mp4"
        path.write_bytes(media.encode())
        facts[media] = MediaFacts(
            sha256=file_sha256(path), suffix=".mp4", width=64, height=64, frames=16, fps=8, size=32
        )
    study = StudyFolder(tmp_path)
    study.save(protocol.model_copy(update={"media": facts}), key_of(2))
    return study


def test_a_protocol_is_read_as_it_was_written(folder: StudyFolder) -> None:
    protocol = folder.protocol()
    assert protocol.sha256 == StudyFolder(folder.protocol_path).protocol().sha256
    assert folder.key(protocol).names() == {code(0): "method-0", code(1): "method-1"}
    assert folder.open() == protocol
    assert folder.open() == protocol


def test_an_open_study_refuses_another_protocol(folder: StudyFolder) -> None:
    protocol = folder.open()
    with refuses(IdentityError, ErrorKind.CONFLICT, "protocol"):
        folder.save(protocol, key_of(2))
    edited = json.loads(folder.protocol_path.read_text()) | {"votes_per_cell": 99}
    folder.protocol_path.write_text(json.dumps(edited))
    with refuses(IdentityError, ErrorKind.CONFLICT, "protocol.json"):
        folder.protocol()


def test_changed_media_and_keys_are_refused(folder: StudyFolder) -> None:
    protocol = folder.protocol()
    key = json.loads(folder.key_path.read_text())
    key["methods"][code(0)]["name"], key["methods"][code(1)]["name"] = "method-1", "method-0"
    folder.key_path.write_text(json.dumps(key))
    with refuses(IdentityError, ErrorKind.CONFLICT, "key.json"):
        folder.key(protocol)
    changed = next((folder.path / "media").iterdir())
    changed.write_bytes(b"other")
    with refuses(DataError, ErrorKind.CONFLICT, "media", changed.name, "was changed"):
        folder.open()
    changed.unlink()
    with refuses(DataError, ErrorKind.MISSING, "media", changed.name, "is missing"):
        folder.open()
    assert not folder.opening_path.exists()


def test_a_study_is_found_by_its_name_or_as_the_only_one(tmp_path: Path) -> None:
    with refuses(UsageError, ErrorKind.MISSING, "study", "vapbench study plan"):
        find_study(None, tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "protocol.json").write_text("{}")
        assert find_study(Path(name), tmp_path).path == tmp_path / name
    with refuses(UsageError, ErrorKind.MISSING, "study", "one, two"):
        find_study(None, tmp_path)
    with refuses(UsageError, ErrorKind.UNKNOWN, "study", "Did you mean two?"):
        find_study(Path("tow"), tmp_path)


def test_a_damaged_protocol_is_named_in_one_sentence(folder: StudyFolder) -> None:
    data = json.loads(folder.protocol_path.read_text())
    folder.protocol_path.write_text(json.dumps(data | {"kind": "triples"}))
    with refuses(DataError, ErrorKind.INVALID, "kind", "protocol.json", "'pair' or 'best_of_n'"):
        folder.protocol()
    folder.protocol_path.write_text("{")
    with refuses(DataError, ErrorKind.DAMAGED, "protocol.json"):
        folder.protocol()
    with refuses(DataError, ErrorKind.MISSING, "protocol.json", "vapbench study plan"):
        StudyFolder(folder.path / "nowhere").protocol()


def test_a_protocol_that_contradicts_itself_is_refused() -> None:
    protocol = make_protocol()
    stranger = protocol.cases[0].model_copy(update={"candidates": {"0" * 8: "1" * 32, "1" * 8: "2" * 32}})
    with pytest.raises(ValidationError, match="unknown method"):
        make_protocol(items=(stranger,))
    with pytest.raises(ValidationError, match="which is not listed"):
        make_protocol(checks=(protocol.checks[0].model_copy(update={"reference": "f" * 32}),))
    gold = protocol.checks[0].model_dump()
    one = gold["candidates"][0]
    for changes in (
        {"expected": None},
        {"candidates": (one, one)},
        {"candidates": (one, one), "expected": None},
        {"kind": "identical", "candidates": (one, one)},
        {"kind": "identical", "expected": None},
    ):
        with pytest.raises(ValidationError, match="an identical check shows one video throughout"):
            Check.model_validate(gold | changes)
    assert Check.model_validate(gold | {"kind": "identical", "candidates": (one, one), "expected": None})


def votes(count: int) -> list[Vote]:
    log: list[Vote] = []
    for number in range(count):
        log.append(
            Vote(
                sequence=number + 1, assignment=f"a{number}", rater="rater-1", role="main", cell="c", case="case-0",
                question="semantic", order=(code(0), code(1)), choice=number % 2, response_ms=5_000, shown_us=1,
                stored_us=2, previous=log[-1].hash if log else GENESIS,
            )
        )  # fmt: skip
    return log


def test_the_chain_shows_every_change() -> None:
    log = votes(5)
    hashes = [vote.hash for vote in log]
    assert check_chain(log, "votes", hashes) == log[-1].hash
    assert check_chain([], "votes") == GENESIS
    changed = [*log[:2], log[2].model_copy(update={"choice": "tie"}), *log[3:]]
    for broken in (changed, log[:2] + log[3:], [log[1], log[0], *log[2:]], log[1:]):
        with refuses(DataError, ErrorKind.DAMAGED, "votes", "breaks at vote"):
            check_chain(broken, "votes")
    with refuses(DataError, ErrorKind.DAMAGED, "votes", "vote 5"):
        check_chain([*log[:4], log[4].model_copy(update={"choice": "tie"})], "votes", hashes)


def test_a_vote_for_what_was_not_shown_is_no_vote() -> None:
    with pytest.raises(ValidationError, match="none of the 2 shown"):
        Vote.model_validate(votes(1)[0].model_dump() | {"choice": 2})
