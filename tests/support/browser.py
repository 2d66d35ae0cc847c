"""A real Chromium without a window, driven as a person would."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.projects import until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_AXE = Path(__file__).parent / "axe" / "axe.min.js"
LAPTOP, PHONE = (1280, 800), (390, 844)
_DEEP = "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"


def missing_browser() -> str | None:
    """Why no browser can be driven here; None when one can."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt-get install chromium chromium-driver)"
    return None


@contextmanager
def chromium(folder: Path) -> "Iterator[Chrome]":
    """A browser with a profile of its own in `folder`."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for switch in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--disable-component-update", "--no-first-run",
        "--disable-extensions", "--force-color-profile=srgb", f"--user-data-dir={folder}",
    ):  # fmt: skip
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = ChromeService(str(shutil.which("chromedriver")))
    driver = Chrome(options=options, service=service)
    driver.set_page_load_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def sized(driver: "Chrome", size: tuple[int, int], *, dark: bool = False) -> None:
    """Look at pages on a screen of this size, in the light or in the dark."""
    wide, high = size
    metrics = {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": wide < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def seen(driver: "Chrome", script: str, seconds: float = 30) -> Any:
    """The first true value of a script's expression; what is not there yet is not true."""
    careful = f"try {{ return {script} }} catch (error) {{ return null }}"
    return until(lambda: driver.execute_script(careful), seconds, script)


def accessible(driver: "Chrome", *rules: str) -> list[str]:
    """What axe finds wrong with the page that is open, a line each; by some rules or by all."""
    if not driver.execute_script("return Boolean(window.axe)"):
        driver.execute_script(_AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {runOnly: arguments[0], resultTypes: ['violations'],"
        " preload: false, iframes: false})"
        ".then(r => done(r.violations));",
        {"type": "rule" if rules else "tag", "values": list(rules or _DEEP)},
    )
    return [
        f"{driver.current_url}: {rule['id']}: {node['html'][:150]} {node['failureSummary'][:200]}"
        for rule in found
        for node in rule["nodes"]
    ]


def complaints(driver: "Chrome") -> list[str]:
    """What the browser itself has complained of: scripts that broke, rules that were broken."""
    log: Callable[[str], list[dict[str, str]]] = driver.get_log
    return [
        entry["message"]
        for entry in log("browser")
        if entry["level"] == "SEVERE" and "ERR_CONNECTION" not in entry["message"]
    ]


def picture(driver: "Chrome", name: str) -> None:
    """Keep a picture of the page in the folder that EVERLOOP_SCREENSHOTS names, if it does."""
    folder = os.environ.get("EVERLOOP_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(Path(folder) / f"{name}.png"))
