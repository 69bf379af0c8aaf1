"""Real video files of many kinds, made where a test needs them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.conftest import moving_clip

HERE = Path(__file__).parent / "data" / "videos"
"""Clips of 13 frames of the mini suite, 64x64 at 8 fps, in several containers."""

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
LIVE = {"live": "1"}
KINDS: dict[str, dict[str, Any]] = {
    "h264.mp4": {},
    "open-gop.mp4": {"options": {"g": "6", "bf": "2", "x264-params": "open-gop=1:scenecut=0"}},
    "h264.mkv": {},
    "h264.avi": {"options": {"bf": "2"}},
    "index-first.mp4": {"muxer": {"movflags": "faststart"}},
    "fragments.mp4": {"options": {"g": "4"}, "muxer": FRAGMENTS},
    "dash.mp4": {"options": {"g": "4"}, "muxer": {"movflags": "dash+global_sidx+frag_keyframe"}},
    "hidden-frames.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "9", "b": "200k"}},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "live.webm": {"codec": "libvpx-vp9", "muxer": LIVE},
    "live.mkv": {"muxer": LIVE},
    "packed.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg4.mp4": {"codec": "mpeg4"},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "prores.mov": {"codec": "prores_ks", "pixels": "yuva444p10le"},
    "10-bit.mp4": {"pixels": "yuv420p10le"},
    "444.mp4": {"pixels": "yuv444p"},
    "uncompressed.avi": {"codec": "rawvideo", "pixels": "bgr24"},
    "ffv1.mkv": {"codec": "ffv1"},
    "animated.gif": {"codec": "gif", "pixels": "rgb8"},
    "animated.png": {"codec": "apng", "pixels": "rgb24", "format": "apng"},
}

# Kept, because the encoder of H.265 corrupts memory now and then.
KEPT = {"h265.mp4": 24, "h265-open-gop.mkv": 24}


def encode(
    path: Path,
    codec: str = "libx264",
    *,
    pixels: str = "yuv420p",
    frames: int = 12,
    options: Mapping[str, str] | None = None,
    muxer: Mapping[str, str] | None = None,
    format: str | None = None,
) -> Path:
    """Write a moving clip of 48x32 at 8 fps with any codec and container."""
    clip = moving_clip(frames=frames)
    with av.open(str(path), "w", format=format, options=dict(muxer or {})) as container:
        stream = container.add_stream(codec, rate=8, options=dict(options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, pixels
        for index, array in enumerate(clip.frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24").reformat(format=pixels)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write (a, b, c, d) into the display matrix of an MP4's track, in place."""
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, section 8.3.2: the matrix stands 40 bytes after the name and version of the box.
    at = data.index(b"tkhd") + 4 + 40
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        data[at + place : at + place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path


def with_aspect(path: Path, across: int, down: int) -> Path:
    """Write a clip of 48x32 stored pixels, each ``across`` wide and ``down`` high."""
    clip = moving_clip(frames=3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(across, down)
        for array in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    return path


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """In dB, of two arrays of 0..255."""
    return float(10 * np.log10(255**2 / max(1e-6, ((one.astype(float) - other) ** 2).mean())))
