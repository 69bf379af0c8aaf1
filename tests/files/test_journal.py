from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vapbench.files.journal import Journal, intact, seal, unseal

ROW = {"schema": 1, "value": 0.25, "note": "一", "parts": {"b": [1.5, None]}}


def test_a_line_is_read_as_it_was_written() -> None:
    line = seal(ROW)
    assert line.endswith(b"}\n")
    assert unseal(line) == ROW
    assert {**ROW, "crc": json.loads(line)["crc"]} == json.loads(line)


@pytest.mark.parametrize(("old", "new"), [(b"0.25", b"0.75"), (b"schema", b"schemb"), (b"null", b"1e10")])
def test_a_changed_number_is_noticed(old: bytes, new: bytes) -> None:
    with pytest.raises(ValueError, match="checksum"):
        unseal(seal(ROW).replace(old, new))


def test_lines_of_other_tools_and_of_earlier_versions_are_read() -> None:
    assert unseal(json.dumps(ROW).encode() + b"\n") == ROW
    spelled_anew = json.dumps(json.loads(seal(ROW)), sort_keys=True).encode() + b"\n"
    assert unseal(spelled_anew) == ROW
    with pytest.raises(ValueError, match="checksum"):
        unseal(spelled_anew.replace(b"0.25", b"0.5"))


def test_a_file_is_intact_only_if_every_line_with_a_checksum_has_the_right_one() -> None:
    plain, torn = json.dumps(ROW).encode() + b"\n", b'{"crc":"0'
    assert intact(b"")
    assert intact(b"\n{}\n" + seal(ROW) + plain + seal({}) + torn)
    for changed in (seal(ROW).replace(b"0.25", b"0.75"), seal(ROW).replace(b'"crc":"', b'"crc": "'), b'{"crc":"0"}\n'):
        assert not intact(seal(ROW) + changed + seal(ROW))


FILLS = """
import resource, sys
from pathlib import Path
from vapbench.files.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.append(b"a" * 99 + b"\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
try:
    journal.append(b"b" * 99 + b"\\n")
except OSError as error:
    print(error.filename)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(b"c" * 99 + b"\\n")
"""


def test_half_a_line_never_stays(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    done = subprocess.run([sys.executable, "-c", FILLS, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(path)
    assert [line[:1] for line in path.read_text().splitlines()] == ["a", "c"]


def test_a_long_line_is_one_write(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "rows.jsonl")
    journal.append(b"x" * 300_000 + b"\n")
    journal.close()
    assert (tmp_path / "rows.jsonl").stat().st_size == 300_001
