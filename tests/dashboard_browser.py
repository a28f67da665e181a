"""TensorBoard in a headless browser, for tests; nothing is downloaded."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", *arguments, "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--reload_interval", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for_port(port, server)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for_port(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
            return
        time.sleep(0.1)
    pytest.fail("TensorBoard didn't start")
