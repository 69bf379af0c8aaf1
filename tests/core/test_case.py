from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core.case import Case, ClipSpec, Media
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "x" * 161, "a\n"])
def test_ids_that_could_leave_a_folder_are_refused(make_case: Callable[..., Case], name: str) -> None:
    with pytest.raises(ValidationError, match="letters, digits"):
        make_case(id=name)


@pytest.mark.parametrize("caption", ["x" * 2000, "一只猫在屋顶上慢慢融化。", "../../etc/passwd", "a\nb\x00", ""])
def test_a_caption_is_only_ever_text(make_case: Callable[..., Case], caption: str) -> None:
    case = make_case(caption=caption)
    assert case.caption == caption
    assert case.content()["caption"] == caption


def test_content_knows_media_by_their_bytes(make_case: Callable[..., Case], tmp_path: Path) -> None:
    case = make_case()
    moved = tmp_path / "elsewhere.mp4"
    moved.write_bytes(case.image.path.read_bytes())
    same = case.model_copy(update={"image": Media(path=moved), "target": Media(path=moved)})
    assert same.content() == case.content()
    write_video(moved, moving_clip(99))
    other = case.model_copy(update={"image": Media(path=moved)})
    assert other.content() != case.content()
    assert str(tmp_path) not in str(case.content())


def test_prefetched_frames_are_those_of_the_file_until_the_last_release(make_case: Callable[..., Case]) -> None:
    video = make_case().reference.video
    fresh = video.read()
    # As after a method that reads in a process of its own: nobody asked for these frames.
    video.release()
    video.prefetch()
    video.prefetch()
    assert (video.read().frames == fresh.frames).all()
    assert (video.first_frame() == fresh.frames[0]).all()
    assert video.read() is video.read()
    video.release()
    assert video.read() is video.read()
    video.release()
    assert video.read() is not video.read()


def test_prefetch_leaves_errors_to_whoever_reads(tmp_path: Path) -> None:
    media = Media(path=tmp_path / "gone.mp4")
    media.prefetch()
    with refuses(DataError, ErrorKind.MISSING, "path"):
        media.read()


@pytest.mark.parametrize("change", [{"frames": 0}, {"height": 31}, {"fps": 0}, {"sides": 3}])
def test_impossible_clip_specs_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ClipSpec.model_validate({"frames": 5, "fps": 8, "height": 32, "width": 48} | change)
