# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""One shot of one person by one camera."""

import functools
import math
from typing import Mapping, NamedTuple, Tuple

import numpy as np

from torchmultimodal_reid.data.synthetic.attributes import (
    Identity,
    Palette,
    palette_of,
    sample_identity,
)
from torchmultimodal_reid.data.synthetic.camera import Camera, camera_of, develop
from torchmultimodal_reid.data.synthetic.figure import build_figure
from torchmultimodal_reid.data.synthetic.occluders import draw_occluder
from torchmultimodal_reid.data.synthetic.paint import paint
from torchmultimodal_reid.data.synthetic.parts import Pose, SURFACES, turn_y
from torchmultimodal_reid.data.synthetic.randomness import draws, PIXELS, SHOT
from torchmultimodal_reid.data.synthetic.raycast import cast, project, Screen
from torchmultimodal_reid.data.synthetic.scene import Scene, scene_of
from torchmultimodal_reid.data.synthetic.weather import (
    camera_rotation,
    HOURS,
    light_of,
    WEATHERS,
)

_SAMPLES = 2  # rays per pixel along each side


class Shot(NamedTuple):
    """What is particular to one picture.

    Args:
        pose (Pose): What the person does.
        weather (str): One of ``WEATHERS``.
        hour (str): One of ``HOURS``.
        distance (float): From the camera, on the ground, in metres.
        azimuth (float): Of the person in the camera's field, in radians.
        box (Tuple[float, float, float, float]): Errors of the detector's box: shifts and factors (x, y, width, height).
        occluded (bool): Whether something stands in front.
    """

    pose: Pose
    weather: str
    hour: str
    distance: float
    azimuth: float
    box: Tuple[float, float, float, float]
    occluded: bool


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


def sample_shot(camera: Camera, rng: np.random.Generator) -> Shot:
    """Draws one shot of a camera."""
    kind = rng.random()
    if kind < 0.25:
        yaw = rng.uniform(-math.pi, math.pi)
    else:
        back = math.pi if rng.random() < camera.both_ways else 0.0
        yaw = camera.heading + back + rng.normal(0, camera.spread)
    walking = rng.random() < 0.82
    pose = Pose(
        yaw=float((yaw + math.pi) % (2 * math.pi) - math.pi),
        phase=float(rng.uniform(0, 2 * math.pi)),
        stride=float(rng.uniform(0.6, 1.0) if walking else rng.uniform(0.0, 0.15)),
        bag_side=1 if rng.random() < 0.5 else -1,
        gesture=int(rng.choice([0, 1, 2], p=[0.78, 0.12, 0.10])),
    )
    usual = rng.random() < camera.steady
    weather = camera.weather if usual else str(rng.choice(list(WEATHERS)))
    hour = camera.hour if usual else str(rng.choice(list(HOURS)))
    j = camera.jitter
    errors = np.clip(rng.normal(0, 1, 4), -2, 2) * (0.6 * j, 0.6 * j, 1.5 * j, j)
    return Shot(
        pose=pose,
        weather=weather,
        hour=hour,
        distance=float(rng.uniform(camera.near, camera.far)),
        azimuth=float(rng.uniform(-0.36, 0.36)),
        box=(float(errors[0]), float(errors[1]), float(1 + errors[2]), float(1.03 + errors[3])),
        occluded=bool(rng.random() < camera.occluders),
    )


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
    taken = sample_shot(world.cameras[camera], draws(SHOT, seed, domain, identity, camera, shot))
    rng = draws(PIXELS, seed, domain, identity, camera, shot)
    picture = render_shot(person, taken, world.cameras[camera], world.scenes[camera], image_size, rng)
    return person, picture


def render_shot(
    person: Identity,
    shot: Shot,
    camera: Camera,
    scene: Scene,
    image_size: Tuple[int, int],
    rng: np.random.Generator,
) -> Picture:
    """Renders a given shot; ``rng`` draws the noise and the thing in front."""
    height, width = image_size
    parts, joints = build_figure(person, shot.pose)
    middle = 0.5 * joints.size
    tilt = math.atan2(camera.height - middle, shot.distance)
    view = camera_rotation(tilt)
    origin = view @ np.array([0.0, -camera.height, -shot.distance])
    depth = math.hypot(shot.distance, camera.height - middle)
    screen = Screen(np.empty(0), np.empty(0), view @ turn_y(shot.pose.yaw), origin, depth)
    sweeps = project(parts, screen)
    xs, ys = _frame(sweeps.box, shot, image_size)
    screen = screen._replace(xs=xs, ys=ys)
    hits = cast(sweeps, screen)
    light = light_of(shot.weather, shot.hour, camera.sun, tilt)
    painted = paint(hits, parts, joints, person, shot.pose, screen, light)

    canvas = np.zeros((len(ys) * len(xs), 4), dtype=np.float32)
    canvas[hits.pixel, :3] = painted.color
    canvas[hits.pixel, 3] = 1
    canvas = canvas.reshape(height, _SAMPLES, width, _SAMPLES, 4).mean(axis=(1, 3))
    x_pixel = xs.reshape(width, _SAMPLES).mean(axis=1)
    y_pixel = ys.reshape(height, _SAMPLES).mean(axis=1)
    image = scene.crop(shot.azimuth + x_pixel / depth, -tilt - y_pixel / depth)
    image *= (light.key * 0.6 + light.ambient).astype(np.float32)
    _cast_shadow(image, x_pixel, y_pixel, origin, depth, tilt)
    image *= 1 - canvas[..., 3:]
    image += canvas[..., :3]
    surface = painted.surface
    if shot.occluded:
        rows, columns = draw_occluder(image, light.key * 0.5 + light.ambient, rng)
        row, column = np.divmod(hits.pixel, len(xs))
        surface = surface[~(rows[row // _SAMPLES] & columns[column // _SAMPLES])]
    counts = np.bincount(surface, minlength=len(SURFACES)) / max(1, len(hits.pixel))
    pixels = develop(image, camera, shot.weather, shot.hour, rng)
    return Picture(pixels, shot, dict(zip(SURFACES, counts.tolist())))


def _frame(box: np.ndarray, shot: Shot, image_size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
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
    image: np.ndarray, xs: np.ndarray, ys: np.ndarray, origin: np.ndarray, depth: float, tilt: float
) -> None:
    """Darkens the ground under the person, where light from everywhere is missing."""
    x, y = origin[0] * depth / origin[2], origin[1] * depth / origin[2]
    wide, high = 0.34, max(0.34 * math.sin(max(tilt, 0.12)), 0.05)
    fall = ((xs - x) / wide)[None, :] ** 2 + ((ys - y) / high)[:, None] ** 2
    image *= (1 - 0.55 * np.exp(-fall))[..., None].astype(np.float32)
