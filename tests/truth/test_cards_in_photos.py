"""Cards, flags and keys measured in the twin's photo: where they are, how bright, which colour, and not in the shot.

Where a card's edge must be comes from ray tests and OpenCV's projection here, nothing of it from the code under test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from renderer.colour.primaries import target_from_ap1
from renderer.passes.cards import CardSheet, Seen
from renderer.twin.emulator import settled
from renderer.twin.view import PhotoView
from renderer.working import REC709, xyz_from_rgb
from stage.frames import pose_from_pan_tilt_roll
from stage.plan import PlanLens, transform_of
from stage.plan_cards import PlanCard, PlanKey

WIDTH_PX = 960
LENS = PlanLens(focal_length_mm=24.0, sensor_width_mm=28.0, sensor_height_mm=15.75, entrance_pupil_m=0.12)
EYE = (0.35, -0.3, 1.4)
CV_FROM_CAMERA = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
OUTLINES: dict[str, Any] = {
    "rectangle": np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=float),
    "ellipse": np.array([(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 49)[:-1]]),
    "polygon": np.array([(-1, -1), (1, -0.6), (0.1, 0.1), (0.3, 1)], dtype=float),
}


class Even:
    """A world of one light everywhere."""

    def __init__(self, light: float) -> None:
        self.light = light

    def prepare(self, plan: Any) -> None:
        pass

    def draw(self, plan: Any, *, view_from_stage: Any, clip_from_view: Any, target: Any) -> None:
        target.clear(self.light, self.light, self.light, 1.0)


def card_of(shape: str = "rectangle", **more: Any) -> PlanCard:
    corners = [tuple(map(float, corner)) for corner in OUTLINES["polygon"]] if shape == "polygon" else []
    told = {
        "from_m": EYE, "pan_deg": 9.0, "tilt_deg": 3.0, "spin_deg": 17.0, "width_deg": 22.0, "height_deg": 9.0,
        "light": (1.0, 1.0, 1.0), "corners": corners,
    }  # fmt: skip
    return PlanCard(id="c", kind="light", shape=shape, **{**told, **more})  # type: ignore[arg-type]


def plan_of(place: Any, *, witness: bool, **more: Any) -> Any:
    """A plan whose camera looks at the wall's middle; a witness has no inner picture on the walls."""
    kind = place.room.kind
    tilt = 62.0 if kind == "ceiling" else 1.0
    position = (0.1, -0.9, 1.0) if kind == "ceiling" else (0.2, 0.1, 1.45)
    plan = place.room.plan(
        pose_from_pan_tilt_roll(position, pan_deg=-2.0, tilt_deg=tilt, roll_deg=4.0), LENS, eye_m=EYE,
        enabled=not witness,
    )  # fmt: skip
    return msgspec.structs.replace(plan, **more)


def photo(place: Any, plan: Any, light: float = 0.0) -> Any:
    """What the camera sees, [h, w, 3] AP1, and the share of each pixel on its solid inner picture, [h, w]."""
    canvases = {name: p.array.copy() for name, p in place.renderer.draw(plan, world=Even(light)).items()}
    shot = place.camera.expose([settled(place.room.stage, canvases)], plan, width_px=WIDTH_PX, fine=2)
    return shot.light[0], shot.inner


def turned(card: PlanCard) -> Any:
    """[3, 3] by Rodrigues' formula: pan about Z, tilt about X, spin about Y."""
    angles = ((0, 0, card.pan_deg), (card.tilt_deg, 0, 0), (0, card.spin_deg, 0))
    z, x, y = (cv2.Rodrigues(np.radians(np.array(a, dtype=float)))[0] for a in angles)
    return z @ x @ y


def on_wall(stage: Any, origin: Any, ray: Any) -> tuple[Any, Any] | None:
    """Where a ray meets a cabinet, and one LED further to its right."""
    for cabinet in stage.cabinets:
        ll, lr, ul, _ = cabinet.corners_m
        u, v, t = np.linalg.solve(np.stack([lr - ll, ul - ll, -ray], axis=1), origin - ll)
        if -1e-9 <= u <= 1 + 1e-9 and -1e-9 <= v <= 1 + 1e-9 and t > 0:
            point = ll + u * (lr - ll) + v * (ul - ll)
            return point, point + (lr - ll) / cabinet.wall_rect_px[2]
    return None


def projected(view: PhotoView, plan: Any, points: Any) -> Any:
    """[n, 2] photo px by OpenCV."""
    camera = plan.cameras[0]
    per_mm = view.width_px / LENS.sensor_width_mm
    focal = LENS.focal_length_mm * per_mm
    intrinsics = np.array([[focal, 0, view.width_px / 2], [0, focal, view.height_px / 2], [0, 0, 1.0]])
    rotation = CV_FROM_CAMERA @ transform_of(camera.stage_from_camera)[:3, :3].T
    move = -rotation @ np.array(camera.pupil_m)
    px, _ = cv2.projectPoints(np.array(points).reshape(-1, 1, 3), cv2.Rodrigues(rotation)[0], move, intrinsics, None)
    return px.reshape(-1, 2)


def edge_errors_leds(place: Any, plan: Any, picture: Any, shape: str) -> Any:
    """How far a card's edge lies from where it must be, in LEDs, at many places of its outline."""
    card, view = plan.cards[0], PhotoView.of(plan.cameras[0], width_px=WIDTH_PX)
    outline, turn = OUTLINES[shape], turned(card)
    half = np.tan(np.radians([card.width_deg, card.height_deg]) / 2)
    found = []
    grey = picture.mean(axis=-1).astype(np.float32)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        shares = (0.5,) if shape == "ellipse" else np.linspace(0.12, 0.88, 12)
        for share in shares:
            at = a + (b - a) * share
            if shape == "ellipse":
                at = at / np.hypot(*at)
            close = [at, at + (b - a) * 0.01]
            hits = [
                on_wall(place.room.stage, np.array(card.from_m), turn @ np.array([x * half[0], 1.0, y * half[1]]))
                for x, y in close
            ]
            if hits[0] is None or hits[1] is None:
                continue
            here, along, led = projected(view, plan, [hits[0][0], hits[1][0], hits[0][1]])
            led_px = float(np.hypot(*(led - here)))
            way = (along - here) / np.hypot(*(along - here))
            outward = np.array([-way[1], way[0]])
            reach = np.linspace(-5.0 * led_px, 5.0 * led_px, 201)
            line = here + reach[:, None] * outward
            if line.min() < 1 or np.any(line > np.array([view.width_px, view.height_px]) - 2):
                continue
            seen = cv2.remap(grey, *line.astype(np.float32).T[:, :, None] - 0.5, cv2.INTER_LINEAR).ravel()
            ends = sorted((seen[:40].mean(), seen[-40:].mean()))
            if ends[1] < 1e-3:  # nothing of a card here
                found.append(math.inf)
                continue
            # The card lies on the side that is bright; its edge is where the light would end if it were sharp.
            bright = np.clip((seen - ends[0]) / (ends[1] - ends[0]), 0, 1) if ends[1] > 2 * ends[0] + 1e-3 else seen * 0
            inside = bright if seen[:40].mean() > seen[-40:].mean() else bright[::-1]
            found.append(abs(inside.sum() * (reach[1] - reach[0]) - 5.0 * led_px) / led_px)
    return np.array(found)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("flat", "rectangle"), ("flat", "ellipse"), ("arc", "rectangle"), ("arc", "polygon"), ("turned", "polygon"),
     ("ceiling", "rectangle")],
)  # fmt: skip
def test_a_cards_edge_is_where_an_independent_projection_puts_it(kind: str, shape: str, places: Any) -> None:
    place = places(kind)
    card = card_of(shape, tilt_deg=60.0, width_deg=30.0, height_deg=14.0) if kind == "ceiling" else card_of(shape)
    plan = plan_of(place, witness=True, cards=[card])
    errors = edge_errors_leds(place, plan, photo(place, plan)[0], shape)
    assert len(errors) >= 30, errors
    assert errors.max() <= 1.0, errors
    assert errors.mean() <= 0.2, errors


def mirrored(card: PlanCard) -> Seen:
    seen = SEEN_OF(card)
    return Seen(seen.from_m, -seen.across, seen.up, seen.ahead, seen.tangents)


def spun_the_other_way(card: PlanCard) -> Seen:
    return SEEN_OF(msgspec.structs.replace(card, spin_deg=-card.spin_deg))


def panned_the_other_way(card: PlanCard) -> Seen:
    return SEEN_OF(msgspec.structs.replace(card, pan_deg=-card.pan_deg))


def half_a_degree_wide(card: PlanCard) -> Seen:
    return SEEN_OF(msgspec.structs.replace(card, width_deg=card.width_deg + 0.5))


def from_the_middle_of_the_stage(card: PlanCard) -> Seen:
    return SEEN_OF(msgspec.structs.replace(card, from_m=(0.0, 0.0, 1.4)))


SEEN_OF: Callable[[PlanCard], Seen] = Seen.of


@pytest.mark.parametrize(
    "mutant",
    [mirrored, spun_the_other_way, panned_the_other_way, half_a_degree_wide, from_the_middle_of_the_stage],
)
def test_mutants_of_where_a_card_lies_are_found(mutant: Any, places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = places("flat")
    monkeypatch.setattr(Seen, "of", staticmethod(mutant))
    plan = plan_of(place, witness=True, cards=[card_of("polygon")])
    plan = msgspec.structs.replace(plan, cards=[msgspec.structs.replace(plan.cards[0], id=mutant.__name__)])
    errors = edge_errors_leds(place, plan, photo(place, plan)[0], "polygon")
    assert errors.max() > 1.0


def middle_light(place: Any, plan: Any, light: float = 0.0) -> Any:
    """Mean AP1 light, [3], of the middle of a plan's first card."""
    card, view = plan.cards[0], PhotoView.of(plan.cameras[0], width_px=WIDTH_PX)
    hit = on_wall(place.room.stage, np.array(card.from_m), turned(card) @ np.array([0.0, 1.0, 0.0]))
    assert hit is not None
    x, y = np.round(projected(view, plan, [hit[0]])[0]).astype(int)
    return photo(place, plan, light)[0][y - 12 : y + 12, x - 12 : x + 12].mean(axis=(0, 1))


@pytest.mark.parametrize("kind", ["flat", "arc"])
def test_nits_colour_temperature_and_stops_are_as_told(kind: str, places: Any) -> None:
    from controller.cards import Card, light_of

    place = places(kind)
    for nits in (20.0, 250.0, 800.0):
        light = light_of(Card(nits=nits / 2.0, exposure_ev=1.0))
        seen = middle_light(place, plan_of(place, witness=True, cards=[card_of(light=light)]))
        assert np.allclose(seen * 100.0, nits, rtol=0.01), (nits, seen)
    warm = middle_light(
        place, plan_of(place, witness=True, cards=[card_of(light=light_of(Card(temperature_k=3200.0)))])
    )
    x, y, z = xyz_from_rgb(REC709) @ target_from_ap1("rec709") @ warm
    assert y == pytest.approx(1.0, rel=0.01)  # 100 nits, whatever the colour
    # CIE xy of a black body of 3,200 K (published tables).
    assert (x / (x + y + z), y / (x + y + z)) == pytest.approx((0.4234, 0.3990), abs=0.003)
    flag = light_of(Card(kind="flag", exposure_ev=-2.0))
    plan = plan_of(place, witness=True, cards=[msgspec.structs.replace(card_of(light=flag), kind="flag")])
    assert np.allclose(middle_light(place, plan, 2.0), 0.5, rtol=0.01)


@pytest.mark.parametrize("kind", ["arc", "turned"])
def test_nothing_of_a_card_is_in_the_shot_unless_it_is_marked_for_the_camera(kind: str, places: Any) -> None:
    place = places(kind)
    plain, inner = photo(place, plan_of(place, witness=False), 0.2)
    shot = inner > 0.999
    assert shot.mean() > 0.5
    beside, _ = photo(place, plan_of(place, witness=False, cards=[card_of()]), 0.2)
    assert np.array_equal(beside[shot], plain[shot])
    other, _ = photo(place, plan_of(place, witness=False, cards=[card_of(in_camera=["b"])]), 0.2)
    assert np.array_equal(other[shot], plain[shot])
    plan = plan_of(place, witness=False, cards=[card_of(in_camera=["a"])])
    marked, _ = photo(place, plan, 0.0)
    errors = edge_errors_leds(place, plan, marked, "rectangle")
    assert errors.max() <= 1.0, errors


@pytest.mark.parametrize("wrong", ["always", "never"])
def test_a_mark_that_is_ignored_is_found(wrong: str, places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = places("arc")
    use = CardSheet.use

    def ignoring(self: CardSheet, touching: int, *, outer: bool, base: str, above: list[str]) -> Any:
        rows = use(self, touching, outer=outer, base=base, above=above)
        if wrong == "never":
            return rows & np.array([-1, 1], dtype=np.int32) if outer else rows[:0]
        numbers = [number for number in range(len(self.cards)) if touching >> number & 1]
        return np.array([(number, (2 << len(above)) - 1) for number in numbers], dtype=np.int32)

    monkeypatch.setattr(CardSheet, "use", ignoring)
    plain, inner = photo(place, plan_of(place, witness=False), 0.2)
    marks = [] if wrong == "always" else ["a"]
    plan = plan_of(place, witness=False, cards=[msgspec.structs.replace(card_of(in_camera=marks), id=wrong)])
    seen, _ = photo(place, plan, 0.2)
    same = np.array_equal(seen[inner > 0.999], plain[inner > 0.999])
    assert same == (wrong == "never")


def test_a_keys_colour_is_exact_in_the_shot(places: Any) -> None:
    place = places("arc")
    key = PlanKey("k", "a", (-2.0, 2.0, -2.0, 2.0), (0.0, 100.0, 0.0))
    plan = plan_of(place, witness=False, key=[key], exposure_ev=2.0, cards=[card_of(in_camera=["a"])])
    seen, inner = photo(place, plan, 0.7)
    shown = seen[inner > 0.999] @ target_from_ap1("rec2020").T * 100.0
    # Half a code of 10 bits at 100 nits is 0.4 nits; red and blue are the code of no light.
    assert np.abs(shown[:, 1] - 100.0).max() < 0.4
    assert np.abs(shown[:, [0, 2]]).max() < 0.01
