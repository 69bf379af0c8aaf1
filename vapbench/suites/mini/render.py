"""The renderer: frames, depth and optical flow of a scene under a condition.

Every layer is a function of continuous coordinates. A layer is drawn by mapping the pixel grid back to where
its surface rests and evaluating it there, so moves are exact resamplings and flow follows from the same maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vapbench.suites.mini import geometry as geo
from vapbench.suites.mini.conditions import Condition, condition, draw_variation
from vapbench.suites.mini.geometry import PIXEL, SIZE, Affines, Field
from vapbench.suites.mini.scenes import Scene, Subject, draw_scene
from vapbench.suites.mini.shots import Effect, Shot, Sprite, Timing, Variation
from vapbench.suites.mini.surfaces import (
    Colours,
    background_colours,
    background_depth,
    shape_distance,
    subject_colours,
)

FRAMES = 13
"""Frames of a clip: 4k + 1, as video VAEs with fourfold temporal compression want."""

FPS = 8.0
"""Frames per second of a clip."""

_CHUNK = 16  # clips per piece of work handed to an executor: large enough to hide the hand-over
_EVERY = slice(None)


@dataclass(frozen=True)
class MiniClip:
    """The specification of a clip by names and numbers alone; rendering it needs nothing else."""

    condition: str
    """Code name."""
    scene: int
    """Scene number."""
    variation: int
    """Seed of the variation."""

    def render(self) -> npt.NDArray[np.uint8]:
        """The clip's frames, as :func:`render` gives them.

        Raises:
            UsageError: there is no such condition.
            DataError: there is no such scene.
        """
        return render(*self.resolve())

    def resolve(self) -> tuple[Scene, Condition, Variation]:
        """The scene, condition and variation it names.

        Raises:
            UsageError: there is no such condition.
            DataError: there is no such scene.
        """
        named = condition(self.condition)
        return draw_scene(self.scene), named, draw_variation(self.condition, self.variation)


def render(scene: Scene, condition: Condition, variation: Variation) -> npt.NDArray[np.uint8]:
    """Render a clip.

    Returns:
        ``(FRAMES, SIZE, SIZE, 3)`` uint8 RGB. Frame 0 is the plain scene, bit for bit.
    """
    shot = condition.effect(Timing(_progress()[1:], variation), scene)
    frames = np.empty((FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    frames[0] = render_scene(scene)
    frames[1:] = _to_uint8(_paint(scene, shot))
    return frames


def paint_effect(scene: Scene, effect: Effect, variation: Variation, progress: geo.Curve) -> Colours:
    """A scene under an effect at any instants.

    Args:
        scene: what is shown.
        effect: what happens to it.
        variation: how it varies.
        progress: ``(n,)`` instants in 0..1, of which a clip's frames are ``i / 12``.

    Returns:
        ``(3, n, SIZE, SIZE)`` float32, of which 0..1 is shown.
    """
    picture = _paint(scene, effect(Timing(progress, variation), scene))
    return np.broadcast_to(picture, (3, len(progress), SIZE, SIZE))


def render_scene(scene: Scene) -> npt.NDArray[np.uint8]:
    """Render the scene as it is: ``(SIZE, SIZE, 3)`` uint8 RGB, the first frame of all its clips."""
    return np.asarray(_to_uint8(_paint(scene, Shot()))[0])


def render_depth(scene: Scene, condition: Condition, variation: Variation) -> npt.NDArray[np.float32]:
    """Depth of every frame as the renderer knows it.

    Returns:
        ``(FRAMES, SIZE, SIZE)`` float32 in 0..1, 1 nearest. Styles do not change it.
    """
    shot = condition.effect(Timing(_progress(), variation), scene)
    x, y = geo.pixel_grid()
    depth = np.empty((FRAMES, SIZE, SIZE), dtype=np.float32)
    depth[:] = background_depth(scene.background, geo.apply(geo.invert(_backdrop(shot)), x, y)[1])
    for layer in _layers(scene, shot):
        nearness = np.broadcast_to(np.float32(layer.subject.depth), layer.alpha.shape)
        np.copyto(depth[layer.crop], nearness, where=layer.alpha > 0.5)
    return depth


def render_flow(scene: Scene, condition: Condition, variation: Variation) -> npt.NDArray[np.float32]:
    """Forward optical flow between neighbouring frames, exact for everything that moves.

    What changes its looks where it is (styles, paint, growing shapes) has no flow.

    Returns:
        ``(FRAMES - 1, SIZE, SIZE, 2)`` float32 in pixels, (right, down): what is at ``(x, y)`` in frame ``t``
        is at ``(x, y) + flow[t, y, x]`` in frame ``t + 1``, visible or not.
    """
    shot = condition.effect(Timing(_progress(), variation), scene)
    x, y = geo.pixel_grid()
    flow = np.empty((FRAMES - 1, SIZE, SIZE, 2), dtype=np.float32)
    view = _stack(_backdrop(shot))
    moved = geo.apply(geo.compose(view[1:], geo.invert(view[:-1])), x, y)
    for axis, (new, old) in enumerate(zip(moved, (x, y), strict=True)):
        flow[..., axis] = (new - old) / PIXEL
    for layer in _layers(scene, shot):
        after = _stack(layer.to_frame)[1:]
        rest_x, rest_y = (np.broadcast_to(c, (FRAMES, *c.shape[1:]))[:-1] for c in (layer.x, layer.y))
        if layer.sprite.warp is not None:
            rest_x, rest_y = layer.sprite.warp.push(rest_x, rest_y, slice(1, None))
        visible = np.broadcast_to(layer.alpha, (FRAMES, *layer.alpha.shape[1:]))[:-1] > 0.5
        crop = layer.crop[1:]
        places = x[:, :, crop[1]], y[:, crop[0], :]
        for axis, (new, old) in enumerate(zip(geo.apply(after, rest_x, rest_y), places, strict=True)):
            np.copyto(flow[(_EVERY, *crop, axis)], (new - old) / PIXEL, where=visible)
    return flow


def render_batch(specs: Sequence[MiniClip], executor: Executor | None = None) -> npt.NDArray[np.uint8]:
    """Render many clips.

    Args:
        specs: what to render.
        executor: where to render; a ``ProcessPoolExecutor`` uses more cores, this process by default.

    Returns:
        ``(len(specs), FRAMES, SIZE, SIZE, 3)`` uint8 RGB in the order of ``specs``, whoever rendered it.

    Raises:
        UsageError: there is no such condition.
        DataError: there is no such scene.
    """
    clips = np.empty((len(specs), FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    chunks = [specs[start : start + _CHUNK] for start in range(0, len(specs), _CHUNK)]
    results = map(_render_chunk, chunks) if executor is None else executor.map(_render_chunk, chunks)
    for index, chunk in enumerate(results):
        clips[index * _CHUNK : index * _CHUNK + len(chunk)] = chunk
    return clips


@dataclass(frozen=True)
class _Layer:
    """A subject's appearance, resolved on the pixels it may touch."""

    subject: Subject
    sprite: Sprite
    to_frame: Affines
    """From local coordinates (the subject's radius is 1), bent, to the frame."""
    crop: tuple[slice, slice, slice]
    """Frames, rows and columns."""
    x: Field
    y: Field
    """Local coordinates at rest of what each pixel of the crop shows."""
    distance: Field
    pixel: Field
    """Size of a pixel in local units."""
    alpha: Field
    """Coverage in 0..1."""

    def colours(self) -> Colours:
        paint = subject_colours(self.subject, self.x, self.y, self.distance, self.pixel)
        return paint if self.sprite.coat is None else self.sprite.coat(self.x, self.y, self.distance, paint)


def _paint(scene: Scene, shot: Shot) -> Colours:
    """The picture ``(3, n, SIZE, SIZE)`` in 0..1, ``n`` being 1 where nothing changes over time."""
    from_frame = geo.invert(_backdrop(shot))
    x, y = geo.apply(from_frame, *geo.pixel_grid())
    picture = background_colours(scene.background, x, y, geo.magnification(from_frame) * np.float32(PIXEL))
    for layer in _layers(scene, shot):
        paint = layer.colours()
        moments = max(paint.shape[1], layer.alpha.shape[0])
        if moments > picture.shape[1]:
            picture = picture.repeat(moments, axis=1)
        part = picture[(_EVERY, *layer.crop)]
        part += (paint - part) * layer.alpha
    return picture if shot.style is None else shot.style(picture)


def _layers(scene: Scene, shot: Shot) -> Iterator[_Layer]:
    """Everything in front of the background, back to front, without what lies outside the frame."""
    appearances = [(subject, Sprite(), _backdrop(shot)) for subject in scene.others]
    appearances += [(scene.main, sprite, shot.camera) for sprite in shot.sprites]
    for subject, sprite, camera in appearances:
        layer = _resolve(subject, sprite, camera)
        if layer is not None:
            yield layer


def _resolve(subject: Subject, sprite: Sprite, camera: Affines) -> _Layer | None:
    rest = geo.compose(geo.translate(subject.x, subject.y), geo.scale(subject.radius))
    to_frame = geo.compose(camera, sprite.motion, rest)
    rows, columns = _touched(to_frame, sprite.reach)
    grid_x, grid_y = geo.pixel_grid()
    grid_x, grid_y = grid_x[:, :, columns], grid_y[:, rows, :]
    if not grid_x.size or not grid_y.size:
        return None
    from_frame = geo.invert(to_frame)
    x, y = geo.apply(from_frame, grid_x, grid_y)
    pixel = geo.magnification(from_frame) * np.float32(PIXEL)
    if sprite.warp is not None:
        x, y = sprite.warp.pull(x, y, _EVERY)
    distance = shape_distance(subject.shape, x, y)
    if sprite.carve is not None:
        distance = sprite.carve(x, y, distance)
    alpha = geo.soft_step(-distance, pixel + np.float32(sprite.softness))
    if sprite.opacity is not None:
        alpha = alpha * sprite.opacity.astype(np.float32)[:, None, None]
    return _Layer(subject, sprite, to_frame, (_EVERY, rows, columns), x, y, distance, pixel, alpha)


def _touched(to_frame: Affines, reach: float) -> tuple[slice, slice]:
    """Rows and columns that a local square of half-width ``reach`` meets at any of the instants."""
    corners = np.array([[-reach, -reach, 1], [-reach, reach, 1], [reach, -reach, 1], [reach, reach, 1]])
    places = (to_frame @ corners.T + 1.0) / PIXEL
    low = np.clip(np.floor(places.min(axis=(0, 2))) - 1, 0, SIZE).astype(int)
    high = np.clip(np.ceil(places.max(axis=(0, 2))) + 1, 0, SIZE).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _backdrop(shot: Shot) -> Affines:
    return shot.camera if shot.backdrop is None else shot.backdrop


def _stack(maps: Affines) -> Affines:
    """One map per frame of a clip, of still ones too."""
    return np.broadcast_to(maps, (FRAMES, *maps.shape[1:]))


def _progress() -> geo.Curve:
    return np.linspace(0.0, 1.0, FRAMES)


def _to_uint8(picture: Colours) -> npt.NDArray[np.uint8]:
    levels = np.clip(picture * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    return np.moveaxis(levels, 0, -1)


def _render_chunk(specs: Sequence[MiniClip]) -> npt.NDArray[np.uint8]:
    return np.stack([spec.render() for spec in specs])
