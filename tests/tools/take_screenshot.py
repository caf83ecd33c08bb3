"""Take the README's picture: chapter 02 in a real JupyterLab, its panel after two runs.

.uv/bin/uv run python tests/tools/take_screenshot.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "notebooks" / "images" / "panel.png"


def main() -> int:
    sys.path.append(str(ROOT / "tests" / "support"))
    from lab import Lab, browser, find_browser, panel_of, run_all, set_boxes

    path = find_browser()
    if path is None:
        print("no Chromium, Chrome or Edge was found")
        return 1
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Lab(Path(folder)) as lab,
        sync_playwright() as playwright,
        browser(playwright, path) as running,
    ):
        page = running.new_page(viewport={"width": 1280, "height": 720}, device_scale_factor=1.5)
        lab.open(page, "02-queue.ipynb")
        run_all(page)
        page.evaluate("jupyterapp.shell.mode = 'single-document'")
        page.evaluate("jupyterapp.shell.collapseLeft()")
        panel = panel_of(page)
        set_boxes(page, {"Messages": 5000})
        for maxsize in (8, 64):
            set_boxes(page, {"maxsize (0: no bound)": maxsize})
            panel.get_by_role("button", name="Run", exact=True).click()
            panel.get_by_text("Done:").wait_for()
            if maxsize == 8:
                panel.get_by_role("button", name="Keep").click()
        panel.evaluate("element => element.scrollIntoView()")
        page.wait_for_timeout(500)  # the scroll bars fade
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE)
    print("wrote", PICTURE.name, f"{PICTURE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
