"""Take the picture in dashboards.md: `python docs/tensorboard_picture.py multirun/<sweep>`.

It shows the HParams tab of a sweep. Needs Chromium and its driver, as Debian's `chromium` and
`chromium-driver` bring them.
"""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

PICTURE = Path(__file__).with_name("tensorboard.png")

WIDTH, HEIGHT = 2320, 850
"""CSS pixels, wide enough for all columns of three compared axes."""

PATIENCE_SECONDS = 15
"""TensorBoard reads the sweep and the page draws it in five."""


def main() -> None:
    """Serve the sweep, open the tab and write the picture beside this file."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = ["tensorboard", "--logdir", sys.argv[1], "--port", str(port)]
    server = subprocess.Popen(command)
    try:
        time.sleep(PATIENCE_SECONDS)
        take(f"http://localhost:{port}/#hparams")
    finally:
        server.terminate()


def take(address: str) -> None:
    """Write the picture of a page."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver") or ""))
    try:
        driver.set_window_size(WIDTH, HEIGHT)
        driver.get(address)
        time.sleep(PATIENCE_SECONDS)
        driver.save_screenshot(str(PICTURE))
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
