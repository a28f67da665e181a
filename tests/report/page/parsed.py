"""A page read back as a browser reads it, without one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list["Element | str"] = field(default_factory=list)

    def everything(self) -> Iterator["Element"]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.everything()

    def all(self, *tags: str) -> list["Element"]:
        return [each for each in self.everything() if each.tag in tags]

    def first(self, tag: str) -> "Element":
        return self.all(tag)[0]

    def with_id(self, name: str) -> "Element":
        (found,) = [each for each in self.everything() if each.attributes.get("id") == name]
        return found

    def has_class(self, name: str) -> bool:
        return name in (self.attributes.get("class") or "").split()

    @property
    def text(self) -> str:
        """As it is read: no scripts and styles, one space between words."""
        return " ".join(" ".join(self._words()).split())

    def _words(self) -> Iterator[str]:
        if self.tag in ("script", "style"):
            return
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child._words()


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> where <{self.open[-1].tag}> is open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parsed(html: str) -> Element:
    """The whole page; every element must be closed, and nothing but itself."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.open == [builder.root]
    return builder.root


def section(page: Element, name: str) -> Element | None:
    """The section with this heading's id; None where there is none."""
    found = [each for each in page.all("section") if each.attributes["aria-labelledby"] == name]
    return found[0] if found else None


def lines_of(page: Element, name: str) -> list[list[str]]:
    """Cells of the first table of a section, its head first."""
    there = section(page, name)
    assert there, name
    return cells_of(there.first("table"))


def cells_of(table: Element) -> list[list[str]]:
    return [[cell.text for cell in row.all("th", "td")] for row in table.all("tr")]


def number_in(cell: str) -> float:
    """The figure of a cell such as `0.62 (0.45 to 0.74)` or `46 % (34 to 58)`, shares up to 1."""
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)( %)?(?: \((-?[\d.]+) to (-?[\d.]+)\))?", cell)
    assert found, cell
    value, low, high = (float(found[place]) if found[place] else None for place in (1, 3, 4))
    assert value is not None
    if low is not None and high is not None:
        assert low <= value <= high, cell
    return value / 100 if found[2] else value


def require_figure(cell: str, expected: float) -> None:
    """Make sure that a cell is a figure as rounded as it is written; a dash where undefined."""
    if expected != expected:
        assert cell == "-"
        return
    rounding = 0.005 if "%" in cell else 0.5 * 10.0 ** -len(cell.split()[0].partition(".")[2])
    assert abs(number_in(cell) - expected) <= rounding + 1e-9, (cell, expected)


def columns_of(lines: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """A table by its column heads."""
    head, *rows = lines
    assert all(len(row) == len(head) for row in rows)
    return {name: [row[place] for row in rows] for place, name in enumerate(head)}
