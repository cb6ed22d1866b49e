"""A browser, and reports to open in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from analysis.synthetic import analyze
from report.pages import Page
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
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
