"""Cases of the style `odd`: scans that should be flagged, or in which knees are hard to find."""

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from djd.data.phantom.body import Body
from djd.data.phantom.sketch import Frame

Case = Literal[
    "upside down",
    "posterior first",
    "blank leg",
    "noise alone",
    "pelvis for knees",
    "prosthesis",
    "few counts",
    "turned legs",
    "crossed legs",
    "hand at knee",
    "hot bladder",
]
CASES: tuple[Case, ...] = get_args(Case)


def choose_case(index: int) -> Case | None:
    """The case of the patient of this index; None for every other patient.

    By turns, so that each case is among any 22 patients in a row, and so in every part of a split.
    """
    return CASES[index // 2 % len(CASES)] if index % 2 else None


def pose_case(case: Case | None, body: Body, rng: np.random.Generator) -> Body:
    """The body as it lies and takes up in this case."""

    def sides(**changes: Any) -> Body:
        right, left = (replace(each, **changes) for each in body.sides)
        return replace(body, sides=(right, left))

    def one_side(**changes: Any) -> Body:
        right, left = body.sides
        if rng.random() < 0.5:
            return replace(body, sides=(replace(right, **changes), left))
        return replace(body, sides=(right, replace(left, **changes)))

    def lower(least: float, most: float) -> Frame:
        return replace(body.frame, head_row=body.frame.head_row + rng.uniform(least, most))

    match case:
        case "blank leg":
            return one_side(joint="none")
        case "noise alone":
            return replace(sides(joint="none"), count_level=0.0)
        case "pelvis for knees":
            return replace(body, frame=lower(140, 175))
        case "prosthesis":
            both = rng.random() < 0.3
            return (sides if both else one_side)(joint="implant")
        case "few counts":
            background = body.background_counts / 10
            return replace(body, count_level=body.count_level / 10, background_counts=background)
        case "turned legs":
            return sides(turn=rng.choice((-1, 1)) * rng.uniform(0.8, 1.3))
        case "crossed legs":
            knee, ankle = rng.uniform(15, 22), rng.uniform(-28, -14)
            crossed = sides(knee=knee, ankle=ankle, lean=float(np.arctan2(ankle - knee, 153)))
            return replace(crossed, legs="touching")
        case "hand at knee":  # reaches down so far, and holds nearly all of the injection
            beside = max(each.knee for each in body.sides) + rng.uniform(26, 38)
            reaching = sides(reach=rng.uniform(0.42, 0.62), arm=94 - beside)
            heat = rng.uniform(5, 12)
            return replace(reaching, injected=1.0, injection=(376, 94), injection_heat=heat)
        case "hot bladder":  # and so low that the bladder nears the knees' place
            return replace(body, frame=lower(30, 80), bladder_heat=rng.uniform(5, 15))
        case _:
            return body


def turn_pages(
    case: Case | None, counts: NDArray[np.uint16], centres: NDArray[np.float64]
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """The views as the file of this case holds them, and the joint centres in the first page.

    `counts` are uint16 (view 2, row 1024, column 256), anterior first; `centres` float64 (side 2,
    2): row and column in the anterior view.
    """
    last = np.array(counts.shape[1:]) - 1.0
    if case == "upside down":  # feet first under the camera
        return counts[:, ::-1, ::-1], last - centres
    if case == "posterior first":
        return counts[::-1], np.stack([centres[:, 0], last[1] - centres[:, 1]], axis=-1)
    return counts, centres
