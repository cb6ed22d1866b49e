"""A browser, and reports to open in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from analysis.synthetic import analyze
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait
from studies import save_card, save_study

from icl_gap.report import write_report
from icl_gap.results import Results

FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Headless Chromium; `.ci/run` insists on it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("Chromium or its chromedriver is not installed (Debian: chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
    for flag in (*FLAGS, *root, profile):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


class Page:
    """A report in the browser."""

    def __init__(self, browser: webdriver.Chrome, path: Path) -> None:
        self.browser = browser
        self.path = path
        self.visit()

    def visit(self, fragment: str = "") -> None:
        """Load the page anew, and wait for its first row."""
        self.browser.get("about:blank")
        self.browser.get(self.path.as_uri() + fragment)
        self.until("return document.documentElement.dataset.ready")

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def until(self, script: str) -> Any:
        """Wait until a script gives something that counts as true."""
        return WebDriverWait(self.browser, 20, 0.02).until(lambda _: self.run(script))

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector
        )
        return found

    def choose(self, name: str, value: str) -> None:
        """Set a filter, and wait for the list."""
        self.run(
            "const field = document.getElementById(`filter-${arguments[0]}`);"
            "field.value = arguments[1];"
            "field.dispatchEvent(new Event('input', {bubbles: true}));",
            name,
            value,
        )
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.browser.execute_async_script(
            "const done = arguments[0];"
            "setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 80);"
        )

    @property
    def count(self) -> str:
        return self.texts("#count")[0]

    def open(self) -> None:
        """Open the chosen request."""
        self.run("document.getElementById('list').focus()")
        self.press("Enter")
        self.until("return document.getElementById('request').open")
        self.settle()

    def open_nth(self, n: int) -> None:
        """Close what is open, and open the n-th request of the list."""
        self.run("document.getElementById('request').close()")
        self.settle()
        self.run("document.getElementById('list').focus()")
        self.press("Home", *"j" * n)
        self.open()

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            down = {"type": "keyDown", "key": key, "text": text}
            if not text:
                codes = {"Escape": 27, "ArrowDown": 40, "Tab": 9, "End": 35, "Home": 36}
                down |= {"type": "rawKeyDown", "windowsVirtualKeyCode": codes[key]}
            self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", down)
            self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", "key": key})
        self.settle()

    def faults(self) -> list[str]:
        """What the browser complained of."""
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture
def opened(browser: webdriver.Chrome, tmp_path: Path) -> Callable[[Results], Page]:
    """Makes the report of some results and opens it."""

    def opened(results: Results) -> Page:
        path = tmp_path / "report.html"
        write_report(results, analyze(results, resamples=200), path)
        browser.get_log("browser")
        return Page(browser, path)

    return opened


@pytest.fixture
def study(tmp_path: Path) -> Results:
    """Two models; under OOD, every other query of six is wrong."""
    return save_study(tmp_path / "study", save_card(tmp_path / "data"))
