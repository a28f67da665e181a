"""The kinds of problems: why each matters, and what to do about it."""

from dataclasses import dataclass

from djd.data.oddities import SAME_PAGES


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes:
        name: As on the page and in the table.
        weight: How much a problem of this kind makes a scan suspicious.
        why: Why it matters, as a sentence.
        to_do: What to do, as a sentence that names the key.
    """

    name: str
    weight: int
    why: str
    to_do: str


_LEAVE_OUT = "Name the scan in data.exclude if it can't be mended."

UNREADABLE = Kind(
    "unreadable",
    100,
    "Training stops at a scan that it can't read.",
    "Mend or download the file, name the scan in data.exclude, or say data.on_error=skip.",
)
SAME_NAME = Kind(
    "two files of one name",
    95,
    "Training stops where two files would be one scan, before anything is read; the page shows the "
    "first.",
    "Rename one of the files, or move it out of the folder.",
)
FOLDER = Kind(
    "folder",
    95,
    "Training stops at a subfolder that it can't list, or a file whose name is no text, before "
    "anything is read; the page lacks these scans.",
    "Ask for the right to read the folder, rename the file, or move it out of the folder.",
)
TABLE = Kind(
    "table",
    90,
    "A table that can't be read stops training before anything is read.",
    "Mend the line that the sentence names.",
)
NOTHING_TO_TRAIN = Kind(
    "nothing to train on",
    90,
    "Training needs readable scans with graded knees.",
    "Mend the files, or give grades with data.labels.",
)
SPLIT = Kind(
    "split",
    80,
    "Training stops where development and test patients can't be divided honestly.",
    "Mend what the sentence names: data.test_count, data.groups or data.exclude.",
)
LABELS = Kind(
    "ids and names disagree too often",
    80,
    "More than one knee in ten has two different grades, and only a person can know which is "
    "right; training stops.",
    "Find out which are right, then say data.labels_from=ids or data.labels_from=names.",
)
NO_GRADES = Kind(
    "no grades",
    90,
    "Training stops at a scan whose grades it can't read.",
    "Give the grades with data.labels, or those of severity names with data.grade_names; or name "
    "the scan in data.exclude, or say data.on_error=skip.",
)
ONE_VIEW = Kind(
    "posterior view missing",
    50,
    "Training on both views stops at a scan that has the anterior one alone.",
    "Say data.views=anterior, as the line to train with does, or name the scan in data.exclude.",
)
NO_BODY = Kind(
    "no body found",
    45,
    "An image without legs has no knee to grade.",
    f"Look at the picture: noise, or another part of the body. {_LEAVE_OUT}",
)
UPSIDE_DOWN = Kind(
    "upside down",
    40,
    "The crops then hold no knee.",
    f"Turn the image in the program that it came from. {_LEAVE_OUT}",
)
SWAPPED = Kind(
    "views swapped",
    35,
    "The first page looks posterior: right and left knee change places, and with them the grades.",
    f"Write the anterior view first. {_LEAVE_OUT}",
)
MIRRORED = Kind(
    "a view mirrored",
    35,
    "The two views show the patient's sides in the same order, so one of them is mirrored, and "
    "its right knee bears the left knee's grade.",
    f"Find out which view it is and mirror it back. {_LEAVE_OUT}",
)
PHANTOM = Kind(
    "phantom among scans",
    30,
    "Grades learned from invented scans say nothing about patients.",
    "Move the phantom out of the folder, or name it in data.exclude.",
)
EMPTY = Kind(
    "empty view",
    30,
    "A view without counts has no knee.",
    "Train on the other view (data.views; where the anterior one is empty, with data.crop=robust). "
    f"{_LEAVE_OUT}",
)
SAME_VIEWS = Kind(
    SAME_PAGES,
    30,
    "The posterior view is missing: the anterior one stands in its place.",
    f"Export the scan again, or say data.views=anterior. {_LEAVE_OUT}",
)
COPY = Kind(
    "copy",
    25,
    "The same image under two names counts twice, and training stops where the copies stand on "
    "two sides of the split.",
    "Name one scan of each pair in data.exclude; if they are one patient's, give them one name in "
    "data.groups.",
)
CUT_OFF = Kind(
    "cut off or blank at a knee",
    20,
    "A part of a knee is missing.",
    f"Look at the picture. {_LEAVE_OUT}",
)
MISPLACED = Kind(
    "crop beside the knee",
    16,
    "The study's crop follows the hottest row, which a hand, the bladder or a tumour may hold; the "
    "knee is found elsewhere.",
    "Look at the frame in the picture; data.crop=robust finds each knee by itself.",
)
FAINT = Kind(
    "unusually faint",
    14,
    "Far fewer counts than the cohort's other scans: noise hides what the grade rests on.",
    f"Look at the picture: a late, short or failed acquisition. {_LEAVE_OUT}",
)
DISAGREEMENT = Kind(
    "id against name",
    12,
    "The file gives this knee two different grades.",
    "Ask who graded; data.labels_from says which of the two counts, data.labels replaces them.",
)
SATURATED = Kind(
    "saturated at a knee",
    10,
    "The counts end at a ceiling, so differences of uptake are lost.",
    f"Export the scan without scaling to fewer bits. {_LEAVE_OUT}",
)
DOUBTFUL = Kind(
    "crop in doubt",
    6,
    "The crop looks unlike one with an ordinary knee in it.",
    "Look at the picture: an implant, crossed legs or a hand can't be graded. Name the scan in "
    "data.exclude, or give the knee no grade in data.labels.",
)
ODD_IMAGE = Kind(
    "odd image",
    2,
    "The image is not an ordinary pair of views.",
    f"Look at the picture. {_LEAVE_OUT}",
)
RELABELLED = Kind(
    "label against file",
    5,
    "data.labels gives this knee another grade than the id in the file, and data.labels counts.",
    "Nothing, where the table is right.",
)
UNLABELLED = Kind(
    "no label",
    4,
    "data.labels has no line for this scan, so it is left out.",
    "Add a line for the scan, or nothing where it is to be left out.",
)
UNKNOWN_NAME = Kind(
    "unknown severity name",
    3,
    "The name's grade is not known, so id and name of this knee can't be compared.",
    "Give the spellings' grades with data.grade_names; djd check --show-names prints them.",
)
ALIKE = Kind(
    "names nearly the same",
    3,
    "If they are one patient, the patient may stand on two sides of the split.",
    "Give the scans of one patient one name in data.groups.",
)
SAME_PATIENT = Kind(
    "patient with several scans",
    1,
    "These scans stay on one side of every split; the patient counts more than others.",
    "Nothing, or leave all but one out with data.exclude.",
)
EXCLUDE = Kind(
    "data.exclude",
    1,
    "A name that no scan has leaves nothing out.",
    "Correct the name.",
)
LEFT_OUT = Kind(
    "left out",
    0,
    "These files are no whole-body bone scans, so training passes over them.",
    "Nothing, unless scans are missing.",
)

KINDS = (
    *(UNREADABLE, SAME_NAME, FOLDER, NO_GRADES, TABLE),
    *(NOTHING_TO_TRAIN, SPLIT, LABELS, ONE_VIEW),
    *(NO_BODY, UPSIDE_DOWN, SWAPPED, MIRRORED, PHANTOM, EMPTY, SAME_VIEWS, COPY, CUT_OFF),
    *(MISPLACED, FAINT, DISAGREEMENT, SATURATED, DOUBTFUL, RELABELLED, UNLABELLED, UNKNOWN_NAME),
    *(ODD_IMAGE, ALIKE, SAME_PATIENT, EXCLUDE, LEFT_OUT),
)
"""The worst first."""
