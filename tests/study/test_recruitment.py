"""Where raters come from, where they go back to, who gets in, and what is due to whom."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.command import vapbench
from tests.refusals import refuses
from tests.study.served import Rater, Served, make_study, serving
from tests.study.test_quotas import take_part
from vapbench.errors import DataError, ErrorKind
from vapbench.study.folder import StudyFolder
from vapbench.study.server.payments import payments_of
from vapbench.study.server.recruitment import PLATFORMS, Outcome, Recruitment
from vapbench.study.server.security import Bucket
from vapbench.study.server.serve import allow_participants
from vapbench.study.settings import read_settings, settings_path

IDS = {
    "prolific": "0123456789abcdef01234567",
    "mturk": "A1B2C3D4E5F6G7",
    "connect": "8F2E91AB-07C4",
    "sona": "48211",
}
CODES: dict[Outcome, str] = {
    "finished": "DONE", "screened_out": "SCREEN", "full": "FULL", "declined": "NO", "technical": "TECH",
    "closed": "SHUT",
}  # fmt: skip
PROLIFIC = Recruitment(platform="prolific", study="study-1", codes=CODES)


def query(served: Served, platform: str, **changes: str) -> dict[str, str]:
    """What a platform's address brings; ``changes`` by role: participant, session, study, key."""
    known = PLATFORMS[platform]
    values = {"participant": IDS[platform], "session": "one", "study": "study-1"}
    values["key"] = served.links.platform.partition("k=")[2].partition("&")[0]
    values |= changes
    named = {known.participant: values["participant"], known.session: values["session"], known.study: values["study"]}
    return {"k": values["key"]} | {name: value for name, value in named.items() if name}


def arrive(served: Served, platform: str = "prolific", **changes: str) -> Rater:
    rater = Rater(httpx.Client(base_url=served.origin, verify=False))
    assert rater.http.get("/join", params=query(served, platform, **changes)).status_code == 303
    return rater


def consented(rater: Rater) -> Rater:
    assert rater.http.post("/api/consent", json={"version": "1"}).status_code == 201
    return rater


def state(rater: Rater) -> dict[str, Any]:
    found: dict[str, Any] = rater.http.get("/api/state").json()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "study", votes_per_cell=1, raters=1)


@pytest.fixture
def served(folder: StudyFolder) -> Iterator[Served]:
    with serving(folder, raters=2, recruitment=PROLIFIC) as running:
        yield running


@pytest.mark.parametrize("platform", list(PLATFORMS))
def test_each_platform_is_entered_and_left_by_its_own_addresses(tmp_path: Path, platform: str) -> None:
    back = "https://uni.example/credit?code={code}&who={participant}" if not PLATFORMS[platform].back else ""
    recruitment = Recruitment.model_validate({"platform": platform, "codes": {"finished": "C0DE"}, "back": back})
    folder = make_study(tmp_path / "study")
    with serving(folder, raters=0, recruitment=recruitment) as served:
        assert PLATFORMS[platform].query in served.links.platform
        rater = consented(arrive(served, platform))
        rater.finish()
        done = state(rater)["completion"]
        assert done["code"] == "C0DE" and "C0DE" in done["url"]
        assert not back or IDS[platform] in done["url"]
        assert (
            httpx.get(served.origin + "/join", params=query(served, platform, participant="'; --")).status_code == 403
        )
    (row,) = payments_of(folder, recruitment)
    assert (row.participant, row.decision, row.outcome) == (IDS[platform], "approve", "finished")
    assert row.session == ("one" if PLATFORMS[platform].session else "")


def test_invented_ids_do_not_get_in(served: Served) -> None:
    for changes in ({"key": ""}, {"key": "A" * 22}, {"study": "another"}, {"participant": "x"}):
        refused = httpx.get(served.origin + "/join", params=query(served, "prolific", **changes))
        assert refused.status_code == 403 and "set-cookie" not in refused.headers, changes


def test_whoever_knows_an_id_is_not_that_participant(served: Served) -> None:
    rater = consented(arrive(served))
    stranger = httpx.get(served.origin + "/join", params=query(served, "prolific", session="another"))
    assert stranger.status_code == 403 and "set-cookie" not in stranger.headers
    assert state(arrive(served))["me"] == state(rater)["me"]


def test_arrivals_are_limited_and_nobody_is_lost(folder: StudyFolder) -> None:
    slow = Bucket(burst=3, per_second=1e-6)
    with serving(folder, raters=0, recruitment=PROLIFIC, arrivals=slow) as served, httpx.Client(verify=False) as http:
        addresses = [query(served, "prolific", participant=f"{number:024x}") for number in range(5)]
        answers = [http.get(served.origin + "/join", params=address) for address in addresses]
        again = http.get(served.origin + "/join", params=addresses[0])
    assert [answer.status_code for answer in answers] == [303] * 3 + [429] * 2
    assert "Many people are arriving" in answers[-1].text
    assert again.status_code == 303, "whoever has begun comes back"


def test_a_code_without_a_submission_comes_back_in_its_own_browser_alone(tmp_path: Path) -> None:
    back = "https://uni.example/credit?who={participant}"
    sona = Recruitment.model_validate({"platform": "sona", "back": back})
    with serving(make_study(tmp_path / "study"), raters=0, recruitment=sona) as served:
        rater = consented(arrive(served, "sona"))
        me = state(rater)["me"]
        stranger = httpx.get(served.origin + "/join", params=query(served, "sona"))
        assert stranger.status_code == 403 and "set-cookie" not in stranger.headers
        assert rater.http.get("/join", params=query(served, "sona")).status_code == 303
        assert state(rater)["me"] == me
        # Nor does another participant's browser open it.
        other = arrive(served, "sona", participant="4711")
        assert other.http.get("/join", params=query(served, "sona")).status_code == 403
        assert state(other)["me"] != me


def test_no_more_take_part_than_places_are_there(served: Served) -> None:
    consented(arrive(served)).next()
    second = arrive(served, participant="f" * 24)
    assert state(second)["stage"] == "busy"
    assert second.http.post("/api/consent", json={"version": "1"}).status_code == 403


def test_a_list_of_participants_lets_in_nobody_else(folder: StudyFolder, served: Served) -> None:
    assert allow_participants(folder, [IDS["prolific"], "e" * 24]) == 2
    consented(arrive(served))
    assert httpx.get(served.origin + "/join", params=query(served, "prolific", participant="f" * 24)).status_code == 403


def test_every_end_has_its_own_code(tmp_path: Path) -> None:
    folder = make_study(
        tmp_path / "study", votes_per_cell=1, raters=1, gold=3, trials=9, cases=9, training=0, repeats=0
    )
    ends: dict[str, Rater] = {}
    with serving(folder, raters=0, recruitment=PROLIFIC) as served:

        def come(number: int) -> Rater:
            return arrive(served, participant=f"{number:024x}")

        ends["declined"] = come(1)
        ends["declined"].http.post("/api/decline", json={})
        ends["screened_out"] = consented(come(2))
        take_part(ends["screened_out"], folder, 0, care=0)
        ends["technical"] = consented(come(3))
        while (trial := ends["technical"].next()) is not None:
            ends["technical"].http.post(f"/api/skip/{trial['assignment']}", json={})
        ends["finished"] = consented(come(4))
        take_part(ends["finished"], folder, 0, care=1)
        ends["full"] = come(5)
        me = state(ends["finished"])["me"]
        found = {end: state(rater).get("completion", {}).get("code") for end, rater in ends.items()}
        # Whoever is needed again is at it when the study closes.
        served.admin().post("/admin/api/exclusion", json={"rater": me, "reason": "asked for it"})
        ends["closed"] = consented(come(6))
        trial = ends["closed"].next()
        assert trial and ends["closed"].vote(trial["assignment"]).status_code == 201
        served.admin().post("/admin/api/status", json={"status": "closed"})
        found["closed"] = state(ends["closed"])["completion"]["code"]
    assert found == CODES
    rows = {row.participant: row for row in payments_of(folder, PROLIFIC)}
    assert len(rows) == 6
    assert {row.outcome: row.decision for row in rows.values()} == {
        "declined": "return", "screened_out": "partial", "technical": "review", "finished": "review",
        "active": "wait", "closed": "approve",
    }  # fmt: skip
    assert rows[f"{4:024x}"].why == "asked for it"


def test_whoever_is_excluded_is_reviewed_also_when_the_study_closes(folder: StudyFolder, served: Served) -> None:
    rater, admin = consented(arrive(served)), served.admin()
    trial = rater.next()
    assert trial and rater.vote(trial["assignment"]).status_code == 201
    admin.post("/admin/api/exclusion", json={"rater": state(rater)["me"], "reason": "a bot"})
    admin.post("/admin/api/status", json={"status": "closed"})
    (row,) = payments_of(folder, PROLIFIC)
    assert (row.outcome, row.decision, row.why) == ("closed", "review", "a bot")


def test_a_withdrawn_participant_is_in_the_table_without_an_identity(folder: StudyFolder, served: Served) -> None:
    rater = consented(arrive(served))
    rater.http.post("/api/withdraw", json={})
    assert "completion" not in state(rater)
    (row,) = payments_of(folder, PROLIFIC)
    assert (row.participant, row.session, row.decision) == ("", "", "return")


def test_the_command_writes_a_table_that_no_spreadsheet_takes_for_formulas(folder: StudyFolder, served: Served) -> None:
    settings_path(folder).write_text("recruitment: {platform: prolific, codes: {finished: '=HYPERLINK(1)'}}\n")
    consented(arrive(served)).finish()
    done = vapbench("study", "payments", folder.path)
    assert done.returncode == 0, done.stderr
    assert "payments.csv: 1 participant: 1 approve" in done.stdout
    with (folder.path / "payments.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["participant"] == IDS["prolific"] and row["code"].startswith("'=")


def test_the_administrators_link_outlives_a_restart(folder: StudyFolder) -> None:
    with serving(folder) as served:
        token = served.links.admin.partition("t=")[2]
    with serving(folder) as again:
        assert httpx.get(f"{again.origin}/admin/join", params={"t": token}).status_code == 303


@pytest.mark.parametrize(
    ("text", "kind", "field", "named"),
    [
        ("recruitment: {platform: prolifik}", ErrorKind.INVALID, "recruitment.platform", "'link', 'prolific'"),
        (
            "recruitment: {codes: {finished: A, full: A}}",
            ErrorKind.INVALID,
            "recruitment",
            "have one code",
        ),
        ("recruitment: {back: 'http://x'}", ErrorKind.INVALID, "recruitment", "https:// address"),
        ("colour: red", ErrorKind.UNKNOWN, "colour", ""),
        ("a: [", ErrorKind.DAMAGED, "study.yaml", ""),
    ],
)
def test_a_faulty_study_file_is_named(folder: StudyFolder, text: str, kind: ErrorKind, field: str, named: str) -> None:
    settings_path(folder).write_text(text)
    with refuses(DataError, kind, field, "study.yaml", named):
        read_settings(folder)
