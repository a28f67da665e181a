"""TensorBoard in a headless browser, for tests; nothing is downloaded."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

PATIENCE_SECONDS = 60
"""A shared machine stalls; what is there is seen in one to five."""

SHOWN = """
const texts = [];
const walk = node => {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.textContent.trim()) texts.push(node.textContent.trim());
    return;
  }
  if (["STYLE", "SCRIPT", "TEMPLATE", "NOSCRIPT"].includes(node.tagName)) return;
  for (const root of [node.shadowRoot, node]) if (root) root.childNodes.forEach(walk);
};
const found = [];
const find = node => {
  if (node.localName === arguments[0]) { found.push(node); return; }
  for (const root of [node.shadowRoot, node]) if (root) root.childNodes.forEach(find);
};
find(document.body);
return found.map(node => { texts.length = 0; walk(node); return [...texts]; });
"""
"""Texts of every element of one kind, shadow roots included, in the order of the page."""


@dataclass(frozen=True)
class Page:
    """A browser at a TensorBoard that serves one folder."""

    driver: Any
    address: str

    def open(self, tab: str, *, query: str = "") -> None:
        """Go to a tab as one who opens its address."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}/{query}#{tab}")

    def texts(self, element: str) -> list[list[str]]:
        """Texts of every element of a kind, such as a card."""
        texts: list[list[str]] = self.driver.execute_script(SHOWN, element)
        return texts

    def all_texts(self, element: str) -> list[str]:
        """The same in one list."""
        return list(chain.from_iterable(self.texts(element)))

    def wait_for(self, read: Callable[[], T], until: Callable[[T], bool]) -> T:
        """What is read once it is as it should be, or at the end of all patience."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not until(seen := read()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return seen

    def keep(self, name: str) -> None:
        """Leave a picture among the artefacts, where a folder for them is given."""
        if folder := os.environ.get("DJD_ARTEFACTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder, f"tensorboard-{name}.png")))


@contextmanager
def started_driver(width: int = 1900, height: int = 1000) -> Iterator[Any]:
    """Chromium without a window; skips the test where it isn't there."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium isn't installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("takes Chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", f"window-size={width},{height}"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def tensorboard(line: str) -> Iterator[str]:
    """Run a line that opens a dashboard; gives its address."""
    _, *arguments = shlex.split(line)
    command = [sys.executable, "-m", "tensorboard.main", *arguments, "--reload_interval", "1"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as said:  # a port that is free now might be taken as the server starts
            server = subprocess.Popen([*command, "--port", "0"], stdout=said, stderr=said)
        try:
            yield _address(log, server)
        finally:
            server.terminate()
            server.wait()


def _address(log: Path, server: "subprocess.Popen[bytes]") -> str:
    """What the server says that it listens at."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"at (http://localhost:\d+)/", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.1)
    pytest.fail(f"TensorBoard didn't start: {log.read_text(errors='replace')}")
