"""A page in the browser, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


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
                codes = {
                    "Escape": 27, "Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37,
                    "ArrowRight": 39, "ArrowDown": 40,
                }  # fmt: skip
                down |= {"type": "rawKeyDown", "windowsVirtualKeyCode": codes[key]}
            self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", down)
            self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", "key": key})
        self.settle()

    @contextmanager
    def phone(self) -> Iterator[None]:
        """Show the page on a phone, which has no pointer that hovers."""
        touch = "Emulation.setTouchEmulationEnabled"
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        self.browser.execute_cdp_cmd(touch, {"enabled": True})
        self.settle()
        try:
            yield
        finally:
            self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            self.browser.execute_cdp_cmd(touch, {"enabled": False})

    @contextmanager
    def media(self, kind: str = "", **features: str) -> Iterator[None]:
        """Show the page on paper (`print`), or with media features such as a dark scheme."""
        named = [{"name": name.replace("_", "-"), "value": v} for name, v in features.items()]
        emulate = "Emulation.setEmulatedMedia"
        self.browser.execute_cdp_cmd(emulate, {"media": kind, "features": named})
        try:
            yield
        finally:
            self.browser.execute_cdp_cmd(emulate, {"media": "", "features": []})

    def faults(self) -> list[str]:
        """What the browser complained of."""
        return [entry["message"] for entry in self.browser.get_log("browser")]
