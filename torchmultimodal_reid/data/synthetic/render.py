# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""One shot of one person by one camera."""

import functools
import math
from typing import Mapping, NamedTuple, Optional, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.camera import Camera, camera_of
from torchmultimodal_reid.data.synthetic.develop import develop
from torchmultimodal_reid.data.synthetic.figure import build_figure
from torchmultimodal_reid.data.synthetic.identity import Identity, sample_identity
from torchmultimodal_reid.data.synthetic.occluders import draw_occluder
from torchmultimodal_reid.data.synthetic.paint import Light, Paint, paint
from torchmultimodal_reid.data.synthetic.palette import Palette, palette_of
from torchmultimodal_reid.data.synthetic.parts import Joints, SURFACES, turn_y
from torchmultimodal_reid.data.synthetic.randomness import draws, PIXELS, SHOT
from torchmultimodal_reid.data.synthetic.raycast import cast, Hits, project, Screen
from torchmultimodal_reid.data.synthetic.scene import Scene, scene_of
from torchmultimodal_reid.data.synthetic.shot import Beside, sample_shot, Shot
from torchmultimodal_reid.data.synthetic.weather import camera_rotation, light_of

_SAMPLES = 2  # rays per pixel along each side
_FIRST_BYSTANDER = 1_000_000  # beyond the numbers of the data set


class Picture(NamedTuple):
    """A rendered shot.

    Args:
        pixels (numpy.ndarray): uint8 of shape ``(h, w, 3)``.
        shot (Shot): What was drawn for it.
        visible (Mapping[str, float]): Surface -> its share of the person's pixels, after all that hides them.
    """

    pixels: np.ndarray
    shot: Shot
    visible: Mapping[str, float]


class World(NamedTuple):
    """The cameras, scenes and clothes of a domain."""

    palette: Palette
    cameras: Tuple[Camera, ...]
    scenes: Tuple[Scene, ...]


@functools.lru_cache(maxsize=4)
def world_of(domain: int, cameras: int) -> World:
    """Builds a domain once per process; it takes some tenths of a second."""
    all_cameras = tuple(camera_of(domain, number) for number in range(cameras))
    scenes = tuple(scene_of(domain, n, camera) for n, camera in enumerate(all_cameras))
    return World(palette_of(domain), all_cameras, scenes)


def render(
    seed: int,
    domain: int,
    cameras: int,
    identity: int,
    camera: int,
    shot: int,
    image_size: Tuple[int, int],
) -> Tuple[Identity, Picture]:
    """Renders shot number ``shot`` of a person by a camera.

    Args:
        seed (int): Seed of the people and of the shots.
        domain (int): Number of the domain.
        cameras (int): How many cameras the domain has.
        identity (int): Number of the person.
        camera (int): Number of the camera, from 0.
        shot (int): Number of the shot, from 0.
        image_size (Tuple[int, int]): Height and width of the picture.

    Returns:
        Tuple[Identity, Picture]: The person and the picture.
    """
    world = world_of(domain, cameras)
    person = sample_identity(seed, domain, identity, world.palette)
    taken = sample_shot(
        world.cameras[camera], draws(SHOT, seed, domain, identity, camera, shot)
    )
    rng = draws(PIXELS, seed, domain, identity, camera, shot)
    other = None
    if taken.beside is not None:
        # people without a number in the data set
        other = sample_identity(
            seed, domain, _FIRST_BYSTANDER + taken.beside.number, world.palette
        )
    picture = render_shot(
        person,
        taken,
        world.cameras[camera],
        world.scenes[camera],
        image_size,
        rng,
        other,
    )
    return person, picture


def render_shot(
    person: Identity,
    shot: Shot,
    camera: Camera,
    scene: Scene,
    image_size: Tuple[int, int],
    rng: np.random.Generator,
    bystander: Optional[Identity] = None,
) -> Picture:
    """Renders a given shot.

    Args:
        person (Identity): Who the picture is of.
        shot (Shot): What is particular to it.
        camera (Camera): Who takes it.
        scene (Scene): What is behind the person.
        image_size (Tuple[int, int]): Height and width of the picture.
        rng (numpy.random.Generator): Draws the noise and the thing in front.
        bystander (Optional[Identity]): Whom the shot shows beside the person, if it shows anybody.

    Returns:
        Picture: The picture.
    """
    parts, joints = build_figure(person, shot.pose)
    tilt, view, screen = _look_at(joints, shot, camera)
    sweeps = project(parts, screen)
    xs, ys = _frame(sweeps.box, shot, image_size)
    screen = screen._replace(xs=xs, ys=ys)
    light = light_of(shot.weather, shot.hour, camera.sun, tilt)
    hits = cast(sweeps, screen)
    painted = paint(hits, parts, joints, person, shot.pose, screen, light)

    image = _draw_scene(scene, shot, screen, light, tilt)
    hidden = np.zeros(len(xs) * len(ys), dtype=bool)
    layers = [(hits, painted)]
    if shot.beside is not None and bystander is not None:
        other = _draw_beside(
            bystander, shot.beside, camera.height, shot.distance, view, screen, light
        )
        in_front = shot.beside.behind < 0
        if in_front:
            hidden[other[0].pixel] = True
        layers.insert(1 if in_front else 0, other)
    for layer in layers:
        _lay_over(image, *layer)
    if shot.occluded:
        rows, columns = draw_occluder(image, light.key * 0.5 + light.ambient, rng)
        hidden |= np.outer(rows.repeat(_SAMPLES), columns.repeat(_SAMPLES)).ravel()
    surface = painted.surface[~hidden[hits.pixel]]
    counts = np.bincount(surface, minlength=len(SURFACES)) / max(1, len(hits.pixel))
    pixels = develop(image, camera, shot.weather, shot.hour, rng)
    return Picture(pixels, shot, dict(zip(SURFACES, counts.tolist())))


def _look_at(
    joints: Joints, shot: Shot, camera: Camera
) -> Tuple[float, np.ndarray, Screen]:
    """How far the camera looks down, its rotation, and a screen whose rays are still to be set."""
    middle = 0.5 * joints.size
    tilt = math.atan2(camera.height - middle, shot.distance)
    view = camera_rotation(tilt)
    origin = view @ np.array([0.0, -camera.height, -shot.distance])
    depth = math.hypot(shot.distance, camera.height - middle)
    none = np.empty(0, dtype=np.float32)
    return tilt, view, Screen(none, none, view @ turn_y(shot.pose.yaw), origin, depth)


def _draw_scene(
    scene: Scene, shot: Shot, screen: Screen, light: Light, tilt: float
) -> np.ndarray:
    xs, ys = (
        rays.reshape(-1, _SAMPLES).mean(axis=1) for rays in (screen.xs, screen.ys)
    )
    image = scene.crop(shot.azimuth + xs / screen.depth, -tilt - ys / screen.depth)
    image *= (light.key * 0.6 + light.ambient).astype(np.float32)
    _cast_shadow(image, xs, ys, screen.origin, screen.depth, tilt)
    return image


def _draw_beside(
    person: Identity,
    beside: Beside,
    height: float,
    distance: float,
    view: np.ndarray,
    screen: Screen,
    light: Light,
) -> Tuple[Hits, Paint]:
    parts, joints = build_figure(person, beside.pose)
    origin = view @ np.array([beside.across, -height, -distance - beside.behind])
    screen = screen._replace(rotation=view @ turn_y(beside.pose.yaw), origin=origin)
    hits = cast(project(parts, screen), screen)
    return hits, paint(hits, parts, joints, person, beside.pose, screen, light)


def _lay_over(image: np.ndarray, hits: Hits, painted: Paint) -> None:
    """Draws a person over the picture; the mean of the rays of a pixel smooths the edges."""
    height, width = image.shape[:2]
    canvas = np.zeros((height * width * _SAMPLES**2, 4), dtype=np.float32)
    canvas[hits.pixel, :3] = painted.color
    canvas[hits.pixel, 3] = 1
    canvas = canvas.reshape(height * _SAMPLES, width * _SAMPLES, 4)
    # sums of slices are many times faster than a mean over two axes
    total = canvas[::_SAMPLES, ::_SAMPLES].copy()
    for row, column in np.ndindex(_SAMPLES, _SAMPLES):
        if row or column:
            total += canvas[row::_SAMPLES, column::_SAMPLES]
    total *= np.float32(1 / _SAMPLES**2)
    image *= 1 - total[..., 3:]
    image += total[..., :3]


def _frame(
    box: np.ndarray, shot: Shot, image_size: Tuple[int, int]
) -> Tuple[np.ndarray, np.ndarray]:
    """Positions of all rays: the box of a detector that is not exact."""
    left, right = float(box[:, 0].min()), float(box[:, 1].max())
    top, bottom = float(box[:, 2].min()), float(box[:, 3].max())
    high = (bottom - top) * shot.box[3]
    # a box is half as wide as high, or as wide as the person
    wide = max(high * 0.46 * shot.box[2], (right - left) * 1.02)
    x = 0.5 * (left + right) + shot.box[0] * high
    y = 0.5 * (top + bottom) + shot.box[1] * high
    height, width = image_size[0] * _SAMPLES, image_size[1] * _SAMPLES
    xs = x + wide * ((np.arange(width) + 0.5) / width - 0.5)
    ys = y + high * ((np.arange(height) + 0.5) / height - 0.5)
    return xs.astype(np.float32), ys.astype(np.float32)


def _cast_shadow(
    image: np.ndarray,
    xs: np.ndarray,
    ys: np.ndarray,
    origin: np.ndarray,
    depth: float,
    tilt: float,
) -> None:
    """Darkens the ground under the person, where light from everywhere is missing."""
    x, y = origin[0] * depth / origin[2], origin[1] * depth / origin[2]
    wide, high = 0.34, max(0.34 * math.sin(max(tilt, 0.12)), 0.05)
    fall = ((xs - x) / wide)[None, :] ** 2 + ((ys - y) / high)[:, None] ** 2
    image *= (1 - 0.55 * np.exp(-fall))[..., None].astype(np.float32)
