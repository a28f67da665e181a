"""A browser without a window, for tests of what a page looks like; skipped where there is none."""

import base64
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

ARTEFACTS = "DJD_ARTEFACTS"
"""Names a folder that keeps screenshots; without it none is written."""

_SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # root, as in a container, gets no sandbox
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no network: no name is found
    "--proxy-server=direct://",
)


@dataclass(frozen=True, eq=False)
class Browser:
    """Chromium, driven.

    Attributes:
        driver: Its driver.
        opened: Addresses that it was told to open since the last time that anybody looked.
    """

    driver: "Chrome"
    opened: list[str] = field(default_factory=list)

    def open(
        self,
        path: Path,
        *,
        width: int,
        height: int = 740,
        scripts: bool = True,
        on_paper: bool = False,
    ) -> None:
        """Show a file in a window so many CSS pixels wide, with or without scripts, or as paper."""
        self.order("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.order("Emulation.setEmulatedMedia", media="print" if on_paper else "")
        self.order(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.opened.append(path.absolute().as_uri())
        self.driver.get(self.opened[-1])

    def ask(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def order(self, command: str, **arguments: Any) -> Mapping[str, Any]:
        """What the browser's own protocol returns."""
        answer: Mapping[str, Any] = self.driver.execute_cdp_cmd(command, arguments)
        return answer

    def pdf(self) -> bytes:
        """The page as it is printed."""
        printed = self.order("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(printed["data"])

    def keep_screenshot(self, name: str) -> None:
        """Keep the whole page as a picture, where `ARTEFACTS` names a folder."""
        if not os.environ.get(ARTEFACTS):
            return
        folder = Path(os.environ[ARTEFACTS])
        folder.mkdir(parents=True, exist_ok=True)
        shot = self.order("Page.captureScreenshot", captureBeyondViewport=True)
        (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def forget(self) -> None:
        """Start anew for `require_quiet`."""
        self.opened.clear()
        self._log("browser")
        self._log("performance")

    def require_quiet(self) -> None:
        """Make sure that the console was told nothing, and nothing but what was opened was asked.

        Pictures that a page has in itself are no requests.
        """
        assert self._log("browser") == []
        events = [json.loads(message)["message"] for message in self._log("performance")]
        asked = {
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        }
        assert {url for url in asked if not url.startswith("data:image/png;base64,")} == {
            *self.opened
        }

    def _log(self, kind: str) -> list[str]:
        """Messages since the last time."""
        log = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in log]


@contextmanager
def started_browser() -> Iterator[Browser]:
    """A browser that reaches nothing but files; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = next(filter(None, map(shutil.which, CHROMES)), None)
    driver_path = shutil.which("chromedriver")
    if not binary:
        pytest.skip(f"no browser on PATH: looked for {', '.join(CHROMES)}")
    if not driver_path:
        pytest.skip("no chromedriver on PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for switch in _SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    from selenium.common.exceptions import WebDriverException

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")  # selenium must never download a driver
        patch.setenv("SE_AVOID_STATS", "true")
        patch.setenv("no_proxy", "localhost,127.0.0.1")
        service = webdriver.ChromeService(executable_path=driver_path)
        try:
            driver = webdriver.Chrome(options=options, service=service)
        except WebDriverException as error:
            pytest.skip(f"{binary} can't be started by {driver_path}: {error.msg}")
        try:
            yield Browser(driver)
        finally:
            driver.quit()
