"""Texts from other editors and systems: byte-order marks and line ends, read alike by every reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind
from vapbench.files.parsing import parse_json, read_csv, read_text, read_yaml
from vapbench.results.run import RunFolder
from vapbench.suites.tasks import find_task

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]


@pytest.mark.parametrize("blank", [";;", " ; ;", ";", '"";"";""'])
def test_rows_of_separators_alone_are_no_rows(tmp_path: Path, blank: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{blank}\ncase;video;seed\n{blank}\none;a.mp4;0\n{blank}\n;;1\n{blank}\n")
    header, rows = read_csv(path)
    assert header == ["case", "video", "seed"]
    assert [(line, list(row.values())) for line, row in rows] == [(4, ["one", "a.mp4", "0"]), (6, ["", "", "1"])]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_one_text_whatever_its_encoding_and_line_ends(encoding: str, line_end: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(f"é: 1{line_end}b: 写{line_end}".encode(encoding))
    assert read_text(path) == "é: 1\nb: 写\n"
    assert read_yaml(path) == {"é": 1, "b": "写"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_keeps_the_line_breaks_within_its_cells(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('id,text\r\n1,"é\r\nb"\r\n'.encode(encoding))
    assert read_csv(path) == (["id", "text"], [(3, {"id": "1", "text": "é\r\nb"})])


@pytest.mark.parametrize(
    ("content", "field"), [("a: é".encode("latin-1"), "encoding"), ("a: 1".encode("utf-16-le"), "")]
)
def test_other_encodings_are_refused_in_a_sentence(content: bytes, field: str, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"UTF-8|UTF-16"):
        read_text(path)
    with pytest.raises(yaml.YAMLError, match=r"UTF-8|UTF-16"):
        read_yaml(path)
    with refuses(DataError, ErrorKind.DAMAGED, field, "task.yaml", "UTF-8"):
        read_csv(path)
    with refuses(DataError, ErrorKind.DAMAGED, "task.yaml"):
        find_task(str(path))


def test_a_quotation_mark_that_is_never_closed_is_not_called_an_encoding(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text('id,text\n1,"a dog\n2,a cat\n')
    with refuses(DataError, ErrorKind.DAMAGED, "quotation"):
        read_csv(path)


def test_a_manifest_that_an_editor_saved_with_a_mark_is_read(tmp_path: Path) -> None:
    run = Path(__file__).parents[2] / "results" / "mini" / "frozen"
    text = RunFolder(run).manifest_path.read_text(encoding="utf-8")
    (tmp_path / "manifest.json").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert RunFolder(tmp_path).manifest() == RunFolder(run).manifest()


@pytest.mark.parametrize("before", ["sep=;\r\n", "SEP=;\n\n", "\n\n;;\n", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_spreadsheets_put_before_the_header_is_passed_over(before: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"{before}id;text\n1;a,b\n2;c\n3;d;e\n".encode(encoding))
    with refuses(DataError, ErrorKind.INVALID, "row", f"a.csv:{before.count(chr(10)) + 4}"):
        read_csv(path)
    path.write_bytes(f"{before}id;text\n1;a,b\n".encode(encoding))
    assert read_csv(path) == (["id", "text"], [(before.count("\n") + 2, {"id": "1", "text": "a,b"})])


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e300", "1" * 301, "-" + "9" * 5000, "NaN", "-Infinity"])
def test_a_number_that_nothing_can_be_computed_with_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="infinite|finite"):
        parse_json(f'{{"a": [{number}]}}')


def test_texts_that_look_like_such_numbers_are_texts() -> None:
    value = {"sha256": "1e999" * 20, "digits": "1" * 400, "small": 1e-320, "large": -1e299, "whole": 10**299}
    assert parse_json(json.dumps(value)) == value


def test_nesting_is_counted_whatever_stands_in_texts() -> None:
    assert parse_json("[" * 64 + "1" + "]" * 64)
    assert parse_json(json.dumps(["["] * 100)) == ["["] * 100
    for deep in ("[" * 65 + '"]"' + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "[" * 100_000):
        with pytest.raises(ValueError, match="nested"):
            parse_json(deep)
