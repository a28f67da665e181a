"""The bones of an invented body without the knees, in body units; see `Frame`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from djd.data.phantom.sketch import Limbs, Points, Sketch, Uptake

_BOTH = (-1, 1)  # the patient's right side, then the left
_VARIATION = 0.12  # deviation of the log uptake of one bone


@dataclass
class Skeleton:
    """Adds bones to a sketch, each a little hotter or colder than the usual bone of this level."""

    _sketch: Sketch
    _level: float  # factor of every bone's uptake
    _rng: np.random.Generator
    _shaft: float  # breadth of the legs' bones relative to the usual one

    def add_bones(self, sides: tuple[Limbs, Limbs]) -> None:
        """Add all bones; arms and legs lie where `sides` (right, left) say."""
        self._skull()
        self._spine()
        self._chest()
        self._pelvis()
        for side, limbs in zip(_BOTH, sides, strict=True):
            self._shoulder(side)
            self._arm(side, limbs)
            self._leg(side, limbs)

    def _varied(self, uptake: Uptake, deviation: float = _VARIATION) -> Uptake:
        factor = self._level * np.exp(deviation * self._rng.standard_normal())
        return uptake[0] * factor, uptake[1] * factor

    def _stroke(
        self,
        points: Sequence[tuple[float, float]] | Points,
        half_width: float | Sequence[float],
        uptake: Uptake,
        side: int = 1,
    ) -> None:
        self._sketch.stroke(np.array(points) * (1, side), half_width, self._varied(uptake))

    def _spot(
        self,
        centre: tuple[float, float],
        half_axes: tuple[float, float],
        uptake: Uptake,
        side: int = 1,
        turn: float = 0.0,
        deviation: float = _VARIATION,
    ) -> None:
        placed = (centre[0], side * centre[1])
        self._sketch.spot(placed, half_axes, self._varied(uptake, deviation), side * turn)

    def _skull(self) -> None:
        self._spot((38, 0), (37, 30), (10, 12))
        angles = np.linspace(0, 2 * np.pi, 49)
        rim = np.stack([38 - 35 * np.cos(angles), 28.5 * np.sin(angles)], axis=-1)
        self._sketch.stroke(rim, 2.4, self._varied((13, 15)))  # the vault seen edge on
        self._spot((60, 0), (8, 21), (6, 8))  # base
        self._stroke([(56, -22), (62, -12), (65, 0), (62, 12), (56, 22)], 2.6, (3, 9))  # occiput
        self._stroke([(50, 0), (60, 0), (70, 0)], [2.5, 4, 6.5], (22, 5))  # nose
        self._stroke([(73, -11), (77, 0), (73, 11)], 4.5, (16, 7))  # upper jaw
        self._spot((84, 0), (9, 13), (7, 5))  # teeth and chin
        self._stroke([(52, -19), (49, 0), (52, 19)], 2.0, (8, 1))  # brows
        self._stroke([(70, -22), (84, -15), (92, 0), (84, 15), (70, 22)], 3.0, (12, 6))  # lower jaw
        for side in _BOTH:
            self._spot((61, 16), (3.5, 6), (19, 5), side)  # cheek bone
            self._spot((66, 24), (3.5, 2.5), (14, 10), side)  # jaw joint

    def _spine(self) -> None:
        bend, phase = self._rng.normal(0, 2.5), self._rng.uniform(0, 2 * np.pi)

        def middle(down: float) -> float:
            return float(bend * np.sin((down - 90) / 210 * 2 * np.pi + phase))

        levels = [
            (86.0, 117.0, 7, 6.0, 7.0, (19, 27)),  # neck
            (117.0, 226.0, 12, 7.0, 9.5, (12, 33)),  # chest: the breast bone lies before it
            (226.0, 300.0, 5, 9.5, 11.5, (22, 36)),  # loins
        ]
        for top, bottom, number, upper, lower, uptake in levels:
            height = (bottom - top) / number
            for index in range(number):
                half_width = upper + (lower - upper) * index / number
                down = top + (index + 0.5) * height
                across = middle(down)
                body = [(down, across - half_width), (down, across + half_width)]
                self._stroke(body, 0.43 * height, uptake)
                self._spot((down + 0.1 * height, across), (0.42 * height, 3), (4, 20))  # arch
                for side in _BOTH:
                    joint = (down, across + side * 0.6 * half_width)
                    self._spot(joint, (0.3 * height, 2.5), (6, 15))
        if self._rng.random() < 0.35:  # a degenerate vertebral joint
            down, side = self._rng.uniform(250, 300), self._rng.choice(_BOTH)
            self._spot((down, side * 9 + middle(down)), (4, 4.5), (45, 60), deviation=0.4)

    def _chest(self) -> None:
        self._stroke([(129, 0), (136, 0), (146, 0)], [10, 8.5, 5.5], (27, 3))  # manubrium
        self._stroke([(148, 0), (170, 0), (190, 0)], [5, 6, 5], (25, 3))
        self._stroke([(191, 0), (203, 0)], 2.2, (13, 2))
        self._spot((147, 0), (1.8, 5.5), (12, 2))  # the angle between them
        reach = (27, 39, 47, 53, 57, 60, 62, 63, 63, 61, 56, 44)
        ends = (150, 146, 142, 138, 134, 130, 126, 120, 114, 106, 84, 58)
        for index, (wide, end) in enumerate(zip(reach, ends, strict=True)):
            for side in _BOTH:
                self._rib(side, 121 + 9.0 * index, wide, np.radians(end), fall=26 + 2.0 * index)

    def _rib(self, side: int, down: float, wide: float, end: float, fall: float) -> None:
        """One rib: an arch about the chest that falls towards the front; seen edge on at the side.

        Uptake along the line grows with the rib's true length over the length on the image.
        """
        angle = np.linspace(np.radians(8), end, 40)
        forward = (1 - np.cos(angle)) / 2
        points = np.stack([down + fall * forward, side * (4 + (wide - 4) * np.sin(angle))], axis=-1)
        seen = np.hypot(np.gradient(points[:, 0], angle), np.gradient(points[:, 1], angle))
        true = np.hypot(seen, 0.65 * wide * np.sin(angle))
        thick = np.minimum(true / np.maximum(seen, 1e-6), 2.2)
        along = thick[:, None] * np.stack([0.3 + 0.7 * forward, 1 - 0.75 * forward], axis=-1)
        self._sketch.stroke(points, 2.3, self._varied((17, 17)), along)

    def _shoulder(self, side: int) -> None:
        self._stroke([(131, 8), (126, 26), (123, 44), (121, 62)], 2.8, (19, 6), side)  # collar bone
        self._spot((131, 9), (4.5, 4), (26, 6), side, deviation=0.25)
        self._spot((121, 65), (4, 5), (24, 16), side, deviation=0.3)
        self._spot((131, 60), (5, 4), (18, 6), side)  # coracoid
        self._spot((135, 73), (10, 9), (26, 22), side, deviation=0.2)  # head of the humerus
        self._stroke([(126, 64), (131, 50), (137, 37)], [3.2, 2.6, 2.2], (4, 26), side)
        self._stroke([(128, 38), (150, 35), (184, 42)], 1.8, (3, 17), side)  # blade's inner border
        self._stroke([(142, 64), (164, 52), (184, 44)], 2.4, (9, 20), side)  # outer border
        self._spot((155, 47), (24, 11), (2, 5), side, turn=-0.25)
        self._spot((182, 43), (5, 4), (5, 18), side)
        self._spot((138, 63), (8, 4), (16, 20), side)  # socket

    def _arm(self, side: int, limbs: Limbs) -> None:
        def bone(
            points: Sequence[tuple[float, float]],
            half_width: float | Sequence[float],
            uptake: Uptake,
        ) -> None:
            self._stroke(limbs.hold(points), half_width, uptake, side)

        def spot(
            centre: tuple[float, float], half_axes: tuple[float, float], uptake: Uptake, own: float
        ) -> None:
            down, across = limbs.hold([centre])[0]
            self._spot((down, across), half_axes, uptake, side, deviation=own)

        bone([(140, 75), (190, 83), (236, 87), (250, 88)], [6, 4.2, 4.6, 8], (11, 10))
        spot((253, 88), (6, 9), (13, 14), 0.3)  # elbow
        bone([(257, 91), (300, 96), (335, 97)], [4, 2.8, 4.2], (9, 8))
        bone([(257, 85), (300, 88), (335, 90)], [4, 2.8, 3], (8, 8))
        spot((341, 94), (6, 8), (19, 15), 0.3)  # wrist
        for finger, (start, tip, length) in enumerate(
            ((86, 80, 374), (90, 88, 399), (94, 95, 403), (98, 101, 398), (101, 107, 388))
        ):
            knuckle = (346 + 0.46 * (length - 346), start + 0.5 * (tip - start))
            bone([(347, start), knuckle], 1.5, (9, 7))
            bone([knuckle, (length, tip)], 1.2, (6, 5))
            spot(knuckle, (2.2, 2.0), (8, 6), 0.3)
            if finger == 0:
                spot((350, 86), (3, 3), (16, 9), 0.6)  # base of the thumb

    def _pelvis(self) -> None:
        self._stroke([(302, 0), (318, 0), (344, 0)], [17, 13, 5], (12, 24))  # sacrum
        self._stroke([(303, 0), (340, 0)], 2.5, (2, 12))
        for side in _BOTH:
            self._stroke([(301, 19), (312, 18), (325, 14)], 3.2, (21, 40), side)  # sacroiliac joint
            crest = [(299, 22), (287, 33), (283, 45), (290, 56), (303, 60), (315, 56)]
            self._stroke(crest, 3.2, (19, 21), side)
            self._spot((305, 38), (18, 19), (11, 10), side)  # wing
            self._stroke([(305, 57), (322, 50), (334, 44)], [4, 5, 7], (9, 7), side)
            angles = np.linspace(-0.7 * np.pi, 0.6 * np.pi, 14)
            socket = [(338 - 11 * np.cos(a), 40 + 11 * np.sin(a)) for a in angles]
            self._stroke(socket, 2.2, (13, 9), side)
            self._spot((338, 41), (9, 9), (12, 10), side)  # head of the femur
            self._stroke([(336, 30), (347, 14), (352, 4)], [4.5, 3.6, 4.5], (17, 8), side)  # pubis
            self._stroke([(344, 33), (358, 30), (370, 25)], [5, 4.5, 5], (12, 19), side)  # ischium
            self._stroke([(354, 6), (370, 24)], 2.8, (11, 9), side)

    def _leg(self, side: int, limbs: Limbs) -> None:
        knee, ankle, lower_by, wide = limbs.knee, limbs.ankle, limbs.thigh, self._shaft
        self._stroke([(340, 44), (348, 54)], 6.5, (14, 12), side)  # neck of the femur
        self._spot((349, 59), (10, 7), (12, 13), side)  # greater trochanter
        femur: list[tuple[float, float]] = [(352, 55), (385, 54 + 0.1 * (knee - 54))]
        if limbs.joint == "none":
            self._stroke([*femur, (428, 52)], [8.5 * wide, 5.8 * wide, 6], (12, 10), side)
            return
        femur += [(470 + lower_by, knee + 2), (486 + lower_by, knee)]
        self._stroke(femur, [8.5 * wide, 5.8 * wide, 6 * wide, 11], (12, 10), side)
        down, middle = 510 + lower_by, (knee + ankle) / 2
        shin = [(down, knee), (down + 24, knee + 0.5), (600, middle), (655, ankle)]
        self._stroke(shin, [14, 7 * wide, 5.2 * wide, 6.5], (12, 9), side)
        for edge in (-0.75, 0.75):  # the hard walls of the shaft, seen edge on
            walls = [(d, a + edge * 5.5 * wide) for d, a in shin[1:]]
            self._stroke(walls, 1.0, (5, 3), side)

        def beside(lateral: float) -> float:  # the fibula lies behind the shin, too
            return float(lateral * np.cos(limbs.turn) - 8 * np.sin(limbs.turn))

        fibula = [(down + 2, knee + beside(16)), (down + 15, knee + beside(14))]
        fibula += [(600, middle + beside(11)), (660, ankle + beside(9))]
        self._stroke(fibula, [3.4, 2, 1.8, 3.2], (7, 7), side)
        self._spot((664, ankle + 1), (7, 11), (14, 13), side, deviation=0.3)  # ankle
        self._foot(side, ankle, outwards=float(np.sin(limbs.turn)))

    def _foot(self, side: int, ankle: float, outwards: float) -> None:
        """A foot that points down and outwards, as it falls on the table."""
        self._spot((677, ankle + 5), (9, 9), (13, 11), side, deviation=0.25)
        self._spot((674, ankle + 1), (8, 7), (3, 14), side)  # heel, nearer to the camera behind
        for ray in range(5):
            start = (684.0, ankle + 1 + 3.2 * ray)
            out = 10 * outwards
            ball = (702.0 - 1.6 * ray, ankle + 3 + 5.2 * ray + out)
            tip = (ball[0] + 10.0 - 0.8 * ray, ball[1] + 1.5 + 0.4 * ray + 0.5 * out)
            self._stroke([start, ball], 1.7, (9, 6), side)
            self._stroke([ball, tip], 1.3, (6, 4), side)
            hot = (20, 12) if ray == 0 else (6, 4)  # the great toe's joint is worn in many
            self._spot(ball, (2.8, 2.6), hot, side, deviation=0.45)
