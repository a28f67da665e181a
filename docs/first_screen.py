"""Take the README's picture, the first screen of a report: `python docs/first_screen.py REPORT`.

Needs Chromium and its driver, as Debian's `chromium` and `chromium-driver` bring them.
"""

import shutil
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

PICTURE = Path(__file__).with_name("report.png")

WIDTH, HEIGHT = 1280, 900
"""CSS pixels; the picture has twice as many."""


def main() -> None:
    """Open the page and write the picture beside this file."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "headless=new",
        "no-sandbox",
        "hide-scrollbars",
        "force-device-scale-factor=2",
    ):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--window-size={WIDTH},{HEIGHT}")
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver") or ""))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 2, "mobile": False},
        )
        driver.get(Path(sys.argv[1]).absolute().as_uri())
        driver.save_screenshot(str(PICTURE))
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
