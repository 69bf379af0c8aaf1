"""Video streams as FFmpeg gives them (PyAV): opened, chosen, decoded, and shown as a player shows them.

Files may come from strangers: the container is told by its first bytes and never by its text, no file leads to
another one, and :mod:`vapbench.core.limits` hold before memory is spent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.core.clip import Frames
from vapbench.core.containers import IMAGES, Kind, check_header, check_whole, is_still, kind_of, stated
from vapbench.core.cropping import Crop, stated_crop
from vapbench.core.display import TRANSPARENT, DisplaySize, exact, is_transparent
from vapbench.core.limits import MOST_PIXELS, ByteBudget, Claims, check_claims
from vapbench.core.mistaken import what_it_is
from vapbench.core.rates import animation_rate, steps_between, stream_rate
from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import counted

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_STRICT = {"mjpeg": {"err_detect": "explode"}}
"""Of decoders that go on behind damage without a word."""
_UNALIGNED = 1
"""AV_CODEC_FLAG_UNALIGNED: without it, what a stream crops at the left is rounded to what suits a processor."""
# Decoders that give one frame for every packet. Others pack two frames in one, or none.
_ONE_EACH = frozenset({"h264", "hevc", "vp9", "libdav1d", "av1", "mjpeg", "prores", "ffv1", "gif"})


@dataclass(frozen=True)
class VideoInfo:
    """What reading a video gives: not what its header says, which may be wrong."""

    frames: int
    """Number of frames that were decoded."""
    fps: float
    width: int
    """Of a frame as it is displayed, in pixels."""
    height: int
    notes: tuple[str, ...] = ()
    """What was done to show the frames as a player does, and what is doubtful: one phrase each."""


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video whose header has been checked; frames are the caller's to decode and to account for.

    Yields:
        The container and its video stream: the default one, else the one with the most pixels; no cover picture.

    Raises:
        DataError: the file is missing, is no video, has no video stream, or claims more than is read
            (:mod:`vapbench.core.limits`).
    """
    if not path.is_file():
        raise DataError(f"{path}: no such video; check the path, or fetch the data again.", ErrorKind.MISSING, "path")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; fetch or write it again.", ErrorKind.DAMAGED)
    kind = kind_of(path)
    if kind == "mov":
        check_header(path)
    with _open(path, kind) as container:
        stream = _best(path, kind, container)
        if stream.codec_context is None:
            raise DataError(
                f"{path}: no decoder here reads its kind of video; re-encode it as H.264.", ErrorKind.INVALID, "codec"
            )
        check_claims(path, _claims(container, stream))
        context: Any = stream.codec_context
        context.options = {"max_pixels": str(MOST_PIXELS)} | _STRICT.get(context.name, {})
        context.flags |= _UNALIGNED
        yield container, stream


def first_picture(path: Path) -> Frames:
    """Decode the first frame of a video, as it is displayed: ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: as :func:`open_video`, or the frame is damaged, absent, or larger than is read.
    """
    with open_video(path) as (container, stream):
        shown, frame = _first(path, container, stream)
        try:
            return shown.picture(frame)
        except _av_errors() as error:
            raise _damaged(path, 0, stream.frames) from error


def _first(path: Path, container: InputContainer, stream: VideoStream) -> tuple[DisplaySize, VideoFrame]:
    try:
        frame = next(container.decode(stream), None)
    except _av_errors() as error:
        raise _damaged(path, 0, stream.frames) from error
    if frame is None:
        raise _empty(path)
    shown = DisplaySize.of(frame, stream, _crop(path, frame, stream))
    ByteBudget(path).spend(shown.width, shown.height)
    if frame.is_corrupt:
        raise _damaged(path, 0, stream.frames)
    return shown, frame


def _crop(path: Path, frame: VideoFrame, stream: VideoStream) -> Crop:
    return stated_crop(path, kind_of(path), stream.index, frame.width, frame.height)


def _announced(stream: VideoStream, kind: Kind) -> int:
    """Frames that the header counts; what the edit list leaves out at the end is not in the index of an MP4."""
    return min(stream.frames, len(stream.index_entries)) if kind == "mov" else stream.frames


def header_info(path: Path) -> VideoInfo:
    """What a video is by its header and first frame; it may hold fewer frames, and 0 stands for a count not given.

    Raises:
        DataError: as :func:`first_picture`.
    """
    with open_video(path) as (container, stream):
        frames, fps = _announced(stream, kind_of(path)), _fps(stream)
        shown, _ = _first(path, container, stream)
    return VideoInfo(frames, fps, shown.width, shown.height)


def decode_stream(path: Path, take: Callable[[Frames], object] | None) -> VideoInfo:
    """Decode every frame of a file's video; see :func:`vapbench.core.video.decode`."""
    count = _Count()
    budget = ByteBudget(path)
    notes: list[str] = []
    sizes: set[tuple[int, int]] = set()
    shown: DisplaySize | None = None
    with open_video(path) as (container, stream):
        kind = kind_of(path)
        if is_still(path):
            raise DataError(
                f"{path}: a still image (AVIF or HEIC), no video; name the video it belongs to.",
                ErrorKind.INVALID,
                "format",
            )
        check_whole(path, kind)
        stream.thread_type = "AUTO"
        announced = stream.frames
        fps = _fps(stream)
        try:
            for packet in _packets(container, stream, count):
                count.add_packet(packet, stream.codec_context.name)
                for frame in packet.decode():
                    crop = shown.crop if shown else _crop(path, frame, stream)
                    shown = DisplaySize.of(frame, stream, crop, shown)
                    budget.spend(shown.width, shown.height)
                    if count.add_frame(frame) == 1:
                        notes += shown.notes()
                        notes += [TRANSPARENT] * is_transparent(frame, stream)
                    sizes.add((shown.width, shown.height))
                    if take:
                        take(shown.picture(frame))
                if count.corrupt:
                    raise _damaged(path, count.frames, announced)
        except _av_errors() as error:
            raise _damaged(path, count.frames, announced) from error
        announced = _announced(stream, kind)
        base, number = exact(stream.time_base), stream.index
        if (streams := len(_videos(container))) > 1:
            notes.append(f"{streams} video streams, of which stream {stream.index} is used")
    if not count.frames:
        raise _empty(path)
    said = stated(path, kind)
    seconds = said.seconds
    steps = steps_between(count.times, in_avi=kind == "avi") * float(base or 0)
    longest = 1 / fps
    if kind == "avi":
        # Its header counts empty chunks as well, which stand for one more showing of the frame before.
        seconds, announced, longest = announced / fps, 0, max(longest, steps.max(initial=0))
    if seconds is not None and count.end < seconds - 1.5 * longest:
        if not said.early:
            raise _damaged(path, count.frames, round(seconds * fps))
        notes.append(f"its header says {seconds:g} s and it ends after {count.end:g}: it may have been cut short")
    # Packets, not frames: a trimmed video stores more than its edit list shows.
    announced = max(announced, said.packets.get(number, 0))
    if count.packets < announced or (count.frames < count.due and stream.codec_context.name in _ONE_EACH):
        raise _damaged(path, count.frames, max(announced, count.due))
    if len(sizes) > 1:
        raise changing_size(path)
    if kind == "gif":
        fps, of_rate = animation_rate(path, count.durations, tick=0.01)
    else:
        fps, of_rate = stream_rate(fps, steps, float(base or 0))
    notes += of_rate
    ((width, height),) = sizes
    return VideoInfo(count.frames, fps, width, height, tuple(notes))


def _packets(container: InputContainer, stream: VideoStream, count: _Count) -> Iterator[Packet[VideoStream]]:
    """Packets of a stream; those of the others count by their time alone, for sound may be longer than its video."""
    packet: Any
    for packet in container.demux():
        count.add_time(packet)
        if packet.stream.index == stream.index:
            yield packet


def changing_size(path: Path) -> DataError:
    """What to raise of a video whose frames differ in size."""
    return DataError(
        f"{path}: the frame size changes within the video; re-encode it at one size.", ErrorKind.INVALID, "size"
    )


def _open(path: Path, kind: Kind) -> InputContainer:
    import av

    try:
        # Named, so that nothing is guessed: a text file may be a playlist that leads to other files.
        container: InputContainer = av.open(
            f"file:{path.absolute()}",
            "r",
            format=kind if kind not in IMAGES else "mov",
            options={"max_pixels": str(MOST_PIXELS)},
            container_options={"protocol_whitelist": "file"},
            **_lenient_texts(),
        )
        return container
    except _av_errors() as error:
        if it := what_it_is(path):
            raise DataError(f"{path}: not a readable video but {it}.", ErrorKind.INVALID, "format") from error
        raise DataError(
            f"{path}: not a readable video (truncated or damaged header, or neither MP4, Matroska, AVI, GIF nor "
            "animated WebP or PNG); fetch or write it again, or convert it: ffmpeg -i FILE OUT.mp4",
            ErrorKind.DAMAGED,
        ) from error


def _videos(container: InputContainer) -> list[VideoStream]:
    """Streams that move: a cover picture is none."""
    from av.stream import Disposition

    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _best(path: Path, kind: Kind, container: InputContainer) -> VideoStream:
    """The stream that a player shows: the default one, of those one that moves, of those the largest."""
    from av.stream import Disposition

    videos = _videos(container)
    if not videos:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise DataError(
            f"{path}: no video stream (found {kinds}); replace the file or drop the case.", ErrorKind.MISSING, "stream"
        )
    if len(videos) == 1:
        return videos[0]
    try:
        with _open(path, kind) as another:
            packets = Counter(packet.stream_index for packet in another.demux(another.streams.video) if packet.size)
    except _av_errors() as error:
        raise _damaged(path, 0, 0) from error

    def rank(stream: VideoStream) -> tuple[bool, bool, int]:
        context = stream.codec_context
        pixels = context.width * context.height if context else 0
        return bool(stream.disposition & Disposition.default), packets[stream.index] > 1, pixels

    return max(videos, key=rank)


@dataclass
class _Count:
    """What went into a decoder, and what came out."""

    packets: int = 0
    due: int = 0
    """Frames that must come out."""
    frames: int = 0
    corrupt: bool = False
    times: list[int] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    """Seconds that each packet is shown, by the file."""
    end: float = 0.0
    """Seconds at which the last packet ends."""
    _start: int | None = None
    """Time of the first key frame."""
    _keyed: bool = False

    def add_time(self, packet: Packet[Any]) -> None:
        """Take note of when a packet ends, of whichever stream."""
        if (at := packet.dts if packet.pts is None else packet.pts) is not None:
            ticks = at + (packet.duration or 0)
            self.end = max(self.end, _seconds(ticks, exact(packet.time_base)) or 0.0)

    def add_packet(self, packet: Packet[VideoStream], codec: str) -> None:
        """Count a packet, before it is decoded."""
        if not packet.size:
            return
        self.packets += 1
        self.durations.append(_seconds(packet.duration, exact(packet.time_base)) or 0.0)
        self.corrupt |= packet.is_corrupt
        if packet.is_keyframe and not self._keyed:
            self._keyed, self._start = True, packet.pts
        # Frames before the first key frame, in either order, need one that is not there: every decoder drops them.
        # Where a clip was cut out of a longer one, Matroska has no time for them.
        early = not self._keyed or (self._start is not None and (packet.pts is None or packet.pts < self._start))
        self.due += not (early or packet.is_discard)

    def add_frame(self, frame: VideoFrame) -> int:
        """Count a frame, and return how many there are."""
        self.frames += 1
        self.corrupt |= frame.is_corrupt
        if frame.pts is not None:
            self.times.append(frame.pts)
        return self.frames


def _lenient_texts() -> dict[str, Any]:
    """What keeps texts that are no UTF-8 from refusing a file: PyAV 19 does so by itself, and has no option for it."""
    from av import __version__

    return {"metadata_errors": "replace"} if int(__version__.partition(".")[0]) < 19 else {}


def _claims(container: InputContainer, stream: VideoStream) -> Claims:
    spans = (_seconds(container.duration, Fraction(1, 1_000_000)), _seconds(stream.duration, exact(stream.time_base)))
    said = [seconds for seconds in spans if seconds is not None]
    # The least is what a negative one shows in; otherwise the longest is what reading may take.
    seconds = (min(said) if min(said) < 0 else max(said)) if said else None
    context = stream.codec_context
    return Claims(stream.frames, _fps(stream), context.width, context.height, seconds)


def _fps(stream: VideoStream) -> float:
    return float(exact(stream.average_rate) or exact(stream.guessed_rate) or 0)


def _seconds(ticks: int | None, base: Fraction | None) -> float | None:
    return None if ticks is None or base is None else float(ticks * base)


def _damaged(path: Path, read: int, announced: int) -> DataError:
    where = f"{read} of {counted(announced, 'frame')}" if announced else counted(read, "frame")
    return DataError(f"{path}: truncated or damaged after {where}; fetch or write it again.", ErrorKind.DAMAGED)


def _empty(path: Path) -> DataError:
    return DataError(
        f"{path}: the video stream has no frame; replace the file or drop the case.", ErrorKind.DAMAGED, "frames"
    )


def _av_errors() -> tuple[type[Exception], ...]:
    from av.error import FFmpegError

    # Frames of a format that has no way to RGB, and numbers beyond 64 bits, come as Python's own.
    return (FFmpegError, ValueError, OverflowError)
