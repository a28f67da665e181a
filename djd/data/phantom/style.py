"""The numbers by which invented bodies are drawn, in three styles.

`odd` is `soft` with cases that should be flagged or are hard to crop.

`soft` was drawn after a look at one public whole-body bone scan (GE, anterior, 2.26 mm a pixel;
`JPGExtended.dcm` among pydicom's test files). There the thigh has 0.35 to 0.55 of the femur's
counts beside it (median 0.37 in `plain`, 0.50 in `soft`) and the knee 0.94 and 1.28 times those of
the shin (1.06, 1.07); the joint lines lie 15 rows apart, the knees about 49 and 31 columns from the
midline, the ankles 32 and 13; a hand holds the injection, and counts fade into the air.
"""

from dataclasses import dataclass, replace

from djd.grades import PhantomStyle

Range = tuple[float, float]
"""Bounds of a uniform draw."""


@dataclass(frozen=True)
class Style:
    """Settings of the drawing; lengths in body units, see `Frame`.

    Attributes:
        knee_correlation: Correlation of severity between a patient's two knees.
        joint_counts: Over a healthy knee of ordinary uptake.
        counts_growth: Of the log counts over the joint: rise with severity, deviation of a knee.
        focal_growth: Of the log odds of the focal share: start, rise with severity, deviation.
        build: Deviation of the girth, as `count_level` and `bone_level` of their logarithms.
        apart: Share of patients with a gap between the thighs.
        knees_apart, knees_touching: Distance of knees from the midline.
        ankles: How much farther from the midline the ankles lie.
        uneven: Deviation of a side's own joint line, knee and ankle.
        blur: Full width at half maximum (anterior, posterior), in pixels.
        injected: Share of patients with counts at the place of the injection.
        injections: Places of the injection, down and across; injection_heat: Factor of its counts.
        tissue: Factor of the soft tissue's counts; texture: Deviation of their logarithm.
        tails: Share of the counts that the camera strews far; tail_fwhm: How far, in pixels.
        thighs: How much lower the joint lines lie than usual: mean, deviation of a patient, of a
            side.
        turn: How far the legs fall outwards, in radians: mean, deviation.
        lean: Share of the shin's slant that the knee takes on.
        arms: How much nearer to the midline the hands lie.
        shaft, joint: Factors of the breadth of the legs' bones and of a knee's size.
        cases: Whether every other patient is a case of `djd.data.phantom.odd`.
    """

    name: PhantomStyle
    knee_correlation: float
    joint_counts: float
    counts_growth: tuple[float, float]
    focal_growth: tuple[float, float, float]
    build: float
    count_level: float
    bone_level: float
    apart: float
    knees_apart: Range
    knees_touching: Range
    ankles: Range
    uneven: tuple[float, float, float]
    blur: tuple[Range, Range]
    injected: float
    injections: tuple[tuple[float, float], ...]
    injection_heat: Range = (1, 1)
    tissue: Range = (1, 1)
    texture: float = 0
    tails: Range = (0, 0)
    tail_fwhm: Range = (0, 0)
    thighs: tuple[float, float, float] = (0, 0, 0)
    turn: tuple[float, float] = (0, 0)
    lean: float = 0
    arms: Range = (0, 0)
    shaft: Range = (1, 1)
    joint: Range = (1, 1)
    cases: bool = False


PLAIN = Style(
    name="plain",
    knee_correlation=0.5,
    joint_counts=21000,  # 25 to 45 counts a pixel
    counts_growth=(0.32, 0.24),
    focal_growth=(-0.95, 0.85, 0.35),
    build=0.1,
    count_level=0.18,
    bone_level=0.2,
    apart=0.55,
    knees_apart=(44, 54),
    knees_touching=(33, 38),
    ankles=(-10, 4),
    uneven=(1.2, 0.8, 1.5),
    blur=((4.0, 5.6), (4.8, 6.8)),
    injected=0.15,
    injections=((247, 86),),  # the elbow
)

SOFT = replace(
    PLAIN,
    name="soft",
    # Grades of knee pain patients: 37 of 143 had both knees diseased (KL 1 or more) and 30 one,
    # at inclusion (BMC Musculoskeletal Disorders 13:153, 2012, abstract). That is a tetrachoric
    # correlation of 0.76 of what the reader sees; severities, without the reader's noise of 0.42,
    # then correlate 0.76 * (1 + 0.42**2) = 0.90.
    knee_correlation=0.9,
    joint_counts=20000,
    counts_growth=(0.36, 0.26),
    focal_growth=(-0.8, 0.8, 0.45),
    build=0.14,
    count_level=0.3,
    bone_level=0.25,
    apart=0.7,
    knees_apart=(33, 52),
    knees_touching=(28, 37),
    ankles=(-18, 2),
    uneven=(1.2, 4.5, 5.0),
    blur=((4.4, 7.5), (5.2, 8.5)),
    injected=0.45,
    injections=((247, 86), (340, 92), (376, 94)),  # elbow, wrist, hand
    injection_heat=(0.5, 4),
    tissue=(1.0, 2.4),
    texture=0.12,
    tails=(0.08, 0.3),
    tail_fwhm=(18, 45),
    thighs=(-4, 5, 2.5),
    turn=(0.25, 0.22),
    lean=0.7,
    arms=(-8, 22),
    shaft=(0.85, 1.25),
    joint=(0.92, 1.22),
)

STYLES: dict[PhantomStyle, Style] = {
    "plain": PLAIN,
    "soft": SOFT,
    "odd": replace(SOFT, name="odd", cases=True),
}
