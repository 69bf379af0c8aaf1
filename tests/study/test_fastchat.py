"""Battles of arenas, as they are found: other encodings, line ends and words for a tie, with the same report."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.refusals import refuses
from vapbench.cli import app
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.tables.votes import counts
from vapbench.study.analysis.fastchat import from_fastchat
from vapbench.study.analysis.fit import analyse_votes

BATTLES = Path(__file__).parents[1] / "data" / "arena" / "battles.jsonl"
TEXT = BATTLES.read_text(encoding="utf-8")
RECORDS = [json.loads(line) for line in TEXT.splitlines()]


def shares(path: Path) -> dict[str, float]:
    (question,) = analyse_votes(*from_fastchat(path))
    return {method.name: round(100 * method.luce_share.estimate, 1) for method in question.methods}


def respelled(words: dict[str, str]) -> bytes:
    return "\n".join(json.dumps(r | {"winner": words.get(r["winner"], r["winner"])}) for r in RECORDS).encode()


def as_csv() -> bytes:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(RECORDS[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(RECORDS)
    return table.getvalue().encode("utf-8-sig")


def one_for_each() -> bytes:
    """LMSYS's table on Kaggle."""
    winners = ("model_a", "model_b", "tie")
    head = ("id", "model_a", "model_b", *(f"winner_{winner}" for winner in winners), "judge", "question_id")
    rows = [
        (n, r["model_a"], r["model_b"], *(int(r["winner"] == w) for w in winners), r["judge"], r["question_id"])
        for n, r in enumerate(RECORDS)
    ]
    return "\n".join(",".join(map(str, row)) for row in (head, *rows)).encode()


DIALECTS: dict[str, Callable[[], bytes]] = {
    "battles.jsonl": lambda: TEXT.encode(),
    "bom-crlf.jsonl": lambda: TEXT.replace("\n", "\r\n").encode("utf-8-sig"),
    "old-mac.jsonl": lambda: TEXT.replace("\n", "\r").encode(),
    "utf-16.jsonl": lambda: TEXT.encode("utf-16"),
    "utf-16-be.jsonl": lambda: b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "utf-32.jsonl": lambda: TEXT.encode("utf-32"),
    "list.json": lambda: json.dumps(RECORDS, indent=1).encode("utf-8-sig"),
    "line-separators.jsonl": lambda: "\n".join(
        json.dumps(r | {"prompt": "one\u2028two\x85three"}, ensure_ascii=False) for r in RECORDS
    ).encode(),
    "table.csv": as_csv,
    "both_bad.jsonl": lambda: respelled({"tie": "both_bad"}),
    "bothbad.jsonl": lambda: respelled({"tie": "tie (bothbad)"}),
    "both bad.jsonl": lambda: respelled({"tie": "Both bad", "model_a": "Model A", "model_b": "MODEL-B"}),
    "buttons.jsonl": lambda: respelled({"tie": "bothbad_vote"}),
    "words.jsonl": lambda: respelled({"tie": "Both are equally good", "model_a": "A wins", "model_b": "b is better"}),
    "sides.jsonl": lambda: respelled({"model_a": "A", "model_b": "B"}),
    "table.tsv": lambda: as_csv().replace(b",", b"\t"),
    "table without suffix": as_csv,
    "JSON called a table.csv": lambda: TEXT.encode(),
    "typed.csv": lambda: as_csv().replace(b",", b" , "),
    "one column for each.csv": lambda: one_for_each(),
    "names.jsonl": lambda: "\n".join(json.dumps(r | {"winner": r.get(r["winner"], "Tie")}) for r in RECORDS).encode(),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_one_report_for_every_dialect(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(DIALECTS[name]())
    assert shares(path) == {"A": 53.9, "B": 33.0, "C": 13.1}
    text = CliRunner().invoke(app, ["study", "report", "--fastchat", str(path)]).output
    assert text == CliRunner().invoke(app, ["study", "report", "--fastchat", str(BATTLES)]).output


def test_a_word_that_is_a_name_and_a_side_is_refused_where_no_vote_tells(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner\nA,B,A\nB,A,B\n")
    with refuses(
        DataError, ErrorKind.INVALID, "vote", path, "vote 2 (line 3)", "model_a by its name, model_b by its side"
    ):
        from_fastchat(path)
    path.write_text("model_a,model_b,winner\nA,B,A\nA,B,B\n")
    assert len(from_fastchat(path)[1]) == 2, "both readings agree"


def test_one_model_in_two_spellings_is_one(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner\nCaf\u00e9,B,model_a\nB , Cafe\u0301,model_b\n", encoding="utf-8")
    assert set(from_fastchat(path)[0].names.values()) == {"Caf\u00e9", "B"}


def test_what_votes_do_not_say_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join(json.dumps({k: v for k, v in r.items() if k != "judge"}) for r in RECORDS))
    (question,) = analyse_votes(*from_fastchat(path))
    assert any(note.startswith("nothing says who voted (300 of 300 votes)") for note in question.notes)
    said = CliRunner().invoke(app, ["study", "report", "--fastchat", str(path)]).output
    assert "Note: nothing says who voted" in said
    assert "what a vote was on" not in said


def test_each_text_that_was_asked_is_analysed_apart(tmp_path: Path) -> None:
    asked = ["visual quality", "Visual-Quality", "Qualit\u00e4t", "motion"]
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join(json.dumps(r | {"dimension": asked[n % 4]}) for n, r in enumerate(RECORDS)))
    terms, votes = from_fastchat(path)
    assert terms.questions == {
        **{"visual_quality": "visual quality", "qualitat": "Qualit\u00e4t", "motion": "Which is better?"}
    }
    assert [sum(vote.question == key for vote in votes) for key in terms.questions] == [150, 75, 75]
    assert len(analyse_votes(terms, votes)) == 3


def test_prompts_in_the_place_of_a_question_are_no_questions(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join(json.dumps(r | {"question": f"prompt {n}"}) for n, r in enumerate(RECORDS)))
    terms, _ = from_fastchat(path)
    assert list(terms.questions) == ["preference"]
    assert any(note.startswith("300 texts in the place of a question") for note in terms.notes)


@pytest.mark.parametrize("nothing", ["NA", "nan", "None", "N/A", ""])
def test_a_rater_that_is_not_there_is_nobody(nothing: str, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner,judge\n" + f"X,Y,X,{nothing}\nX,Y,Y,x\nY,X,X,{nothing}\n")
    terms, votes = from_fastchat(path)
    assert len({vote.rater for vote in votes}) == 3
    assert any(note.startswith("nothing says who voted (2 of 3 votes)") for note in terms.notes)


def test_a_number_that_is_none_is_nothing_and_half_a_character_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text('{"model_a": "A", "model_b": "B", "winner": "model_a", "judge": NaN, "score": NaN}\n')
    assert len(from_fastchat(path)[1]) == 1
    for record, named in (
        ('{"model_a": "A", "model_b": "B", "winner": "model_a", "judge": "\\ud83d"}', "half a character"),
        ('{"model_a": "A", "model_b": "B", "winner": "model_a", "winner": "tie"}', "winner is there twice"),
    ):
        path.write_text(record + "\n")
        with refuses(DataError, ErrorKind.DAMAGED, "votes.jsonl", path, "line 1", named) as caught:
            from_fastchat(path)
        assert "UTF-8" not in str(caught.value)
    path.write_bytes(gzip.compress(b"{}"))
    with refuses(DataError, ErrorKind.DAMAGED, "votes.jsonl", path, "an archive"):
        from_fastchat(path)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "battles.jsonl"
    path.write_text(TEXT[:-20])
    with refuses(DataError, ErrorKind.DAMAGED, "battles.jsonl", path, "line 300"):
        from_fastchat(path)
    path.write_text(json.dumps({name: [r[name] for r in RECORDS] for name in RECORDS[0]}))
    with refuses(DataError, ErrorKind.INVALID, "vote", path, "several values as its model_a"):
        from_fastchat(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (TEXT.encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        (TEXT.replace('"A"', '"\xc9"').encode("latin-1"), "0xc9 is not UTF-8"),
        (TEXT.encode("utf-16")[:-1], "is not UTF-16"),
    ],
)
def test_another_encoding_is_named(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "battles.jsonl").write_bytes(content)
    with refuses(DataError, ErrorKind.DAMAGED, "battles.jsonl", tmp_path, problem):
        from_fastchat(tmp_path / "battles.jsonl")


def test_no_file_and_no_votes_are_told_apart(tmp_path: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "none.json", tmp_path):
        from_fastchat(tmp_path / "none.json")
    (tmp_path / "battles.json").write_text("[]")
    with refuses(DataError, ErrorKind.MISSING, "votes", "battles.json"):
        from_fastchat(tmp_path / "battles.json")


@pytest.mark.parametrize("winner", ["left", "", None, "model_c", 3])
def test_a_winner_that_says_nothing_is_refused(winner: Any, tmp_path: Path) -> None:
    (tmp_path / "battles.json").write_text(json.dumps([RECORDS[0] | {"winner": winner}]))
    with refuses(DataError, ErrorKind.INVALID, "vote", "vote 1"):
        from_fastchat(tmp_path / "battles.json")


TABLES = {
    "sides": (
        "left,right,preferred,annotator,item",
        lambda a, b, w: (a, b, {"model_a": "Left", "model_b": "right"}[w]),
    ),
    "systems": (
        "System A;System B;Choice;Worker ID;Prompt-ID",
        lambda a, b, w: (a, b, {"model_a": "System A", "model_b": "system_b"}[w]),
    ),
    "names": ("method_a,method_b,vote,user,case", lambda a, b, w: (a, b, a if w == "model_a" else b)),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_votes_gives_the_report_of_the_same_battles(name: str, tmp_path: Path) -> None:
    header, row = TABLES[name]
    apart = ";" if ";" in header else ","
    lines = []
    for battle in RECORDS:
        a, b, winner = (battle[name] for name in ("model_a", "model_b", "winner"))
        said = row(a, b, winner) if winner != "tie" else (a, b, "tie")
        lines.append(apart.join((*said, battle["judge"], str(battle["question_id"]))))
    path = tmp_path / "votes.csv"
    path.write_text("\n".join((header, *lines)))
    assert shares(path) == {"A": 53.9, "B": 33.0, "C": 13.1}


def test_a_studys_own_table_is_read_without_checks_and_what_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    header = "rater,case,question,role,left,right,chosen,counts"
    rows = [
        "r,c,semantic,main,vap,lora,vap,True",
        "r,g,semantic,gold,0,1,0,True",
        "s,c,semantic,main,vap,lora,lora,False",
    ]
    path.write_text("\n".join((header, *rows)))
    terms, votes = from_fastchat(path)
    assert [(vote.question, terms.names[str(vote.chosen)]) for vote in votes] == [("semantic", "vap")]


@pytest.mark.parametrize(
    "words", [("TRUE", "FALSE"), ("WAHR", "FALSCH"), ("VRAI", "FAUX"), ("1", "0"), ("1.0", " 0.0")]
)
def test_what_does_not_count_is_left_out_however_a_spreadsheet_says_so(tmp_path: Path, words: tuple[str, str]) -> None:
    path = tmp_path / "votes.csv"
    rows = [
        f"r,c,vap,lora,vap,{words[0]},",
        f"s,c,vap,lora,lora,{words[1]},",
        f"t,c,vap,lora,lora,{words[0]},withdrawn",
    ]
    path.write_text("\n".join(("rater,case,left,right,chosen,counts,why_not", *rows)))
    terms, votes = from_fastchat(path)
    assert [terms.names[str(vote.chosen)] for vote in votes] == ["vap"]


def test_a_vote_that_neither_counts_nor_does_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("left,right,chosen,counts\nvap,lora,vap,3\n")
    with refuses(DataError, ErrorKind.INVALID, "vote", "vote 1 (line 2)", "counts '3'", "neither true nor false"):
        from_fastchat(path)


def test_a_vote_of_which_nothing_is_said_counts(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    vote = {"model_a": "vap", "model_b": "lora", "winner": "model_a"}
    blank: list[dict[str, Any]] = [{"counts": None}, {"counts": ""}, {}]
    path.write_text("\n".join(json.dumps(vote | more) for more in blank))
    assert len(from_fastchat(path)[1]) == 3
    assert counts(vote | {"counts": float("nan"), "why_not": float("nan")}), "as data frames write it"


def test_an_answer_of_a_study_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    row = "vap,lora,vap,semantic,0badc0de99"
    path.write_text("\n".join(("left,right,chosen,question,hash", row, row.replace("semantic", "overall"), row)))
    with refuses(DataError, ErrorKind.INVALID, "vote", "vote 3 (line 4)", "is there twice (hash 0badc0de)"):
        from_fastchat(path)


def test_bad_rows_are_counted_and_the_first_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner\na,b,a\na,b,c\na,,a\nb,a,b\n")
    with refuses(DataError, ErrorKind.INVALID, "vote", "vote 2 (line 3)", "winner 'c'", "2 of 4 votes"):
        from_fastchat(path)
    path.write_text("a,b\nx,y\n")
    with refuses(DataError, ErrorKind.INVALID, "vote", "vote 1 (line 2)", "model_a"):
        from_fastchat(path)


def test_what_only_a_study_can_give_is_refused() -> None:
    done = CliRunner().invoke(app, ["study", "report", "--battles", str(BATTLES), "--mixed"])
    assert isinstance(done.exception, UsageError) and "leave out" in str(done.exception)
