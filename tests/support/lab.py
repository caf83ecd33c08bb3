"""A real JupyterLab and a real browser: shared by the browser tests and the screenshot of the README."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Playwright

OPEN_WITHIN = 90  # seconds
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TOKEN = "tests"

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
    "microsoft-edge-stable",
)
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "%ProgramFiles%/Google/Chrome/Application/chrome.exe",
    "%ProgramFiles(x86)%/Google/Chrome/Application/chrome.exe",
    "%LocalAppData%/Google/Chrome/Application/chrome.exe",
    "%ProgramFiles(x86)%/Microsoft/Edge/Application/msedge.exe",
    "%ProgramFiles%/Microsoft/Edge/Application/msedge.exe",
)
# A test browser asks its maker's servers for nothing.
_BROWSER_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# No news, no autosave, and every cell in the page, in view or not.
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


def find_browser() -> str | None:
    """Return the path of a Chromium, Chrome or Edge, or None."""
    found = (shutil.which(name) for name in _NAMES)
    placed = (place for place in map(os.path.expandvars, _PLACES) if os.path.exists(place))
    return next((path for path in (*found, *placed) if path), None)


@contextlib.contextmanager
def browser(playwright: Playwright, path: str) -> Iterator[Browser]:
    """Start a headless browser with a fresh profile."""
    running = playwright.chromium.launch(executable_path=path, args=list(_BROWSER_FLAGS))
    try:
        yield running
    finally:
        running.close()


class Lab:
    """A JupyterLab server of its own: its settings, its copy of the notebooks, its kernels.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder for all that it writes.
    theme : str
        "JupyterLab Light" or "JupyterLab Dark".
    """

    def __init__(self, folder: Path, theme: str = "JupyterLab Light") -> None:
        shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        shutil.copy(NOTEBOOKS.parent / "README.md", folder)  # chapters link to it
        settings = {**_SETTINGS, "apputils-extension/themes": {"theme": theme}}
        for name, values in settings.items():
            file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "server.log"
        with self._log.open("w") as log:
            self._server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
                    *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
                    *(f"--IdentityProvider.token={TOKEN}", f"--notebook-dir={folder}"),
                    *("--LabApp.news_url=", "--LabApp.extension_manager=readonly", "--expose-app-in-browser"),
                ],
                env={
                    **os.environ,
                    "JUPYTER_CONFIG_DIR": str(folder / "config"),
                    "JUPYTER_DATA_DIR": str(folder / "data"),
                    "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                    "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
                    "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
                    "IPYTHONDIR": str(folder / "ipython"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Lab:
        try:
            self._wait_until_up(seconds=60)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server, its kernels and whatever they started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [psutil.Process(self._server.pid), *self.descendants()]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._server.wait(timeout=10)

    def descendants(self) -> list[psutil.Process]:
        """Return the processes that the server started, and those started by them."""
        return psutil.Process(self._server.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """Return the children that kernels have spawned; the standard library's own helpers are none."""
        found = []
        for process in self.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "--multiprocessing-fork" in process.cmdline():
                    found.append(process)
        return found

    def open(self, page: Page, chapter: str) -> None:
        """Open a chapter, in the JupyterLab that the page shows or in a new one; wait for its kernel."""
        path = f"notebooks/{chapter}"
        if page.url.startswith(self.url):
            page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', {path})", path)
        else:
            page.goto(f"{self.url}/lab/tree/{path}?token={TOKEN}&reset")
            page.wait_for_function("window.jupyterapp !== undefined", timeout=60_000)
        page.evaluate(
            """async ([path, seconds]) => {
                const open = async () => {
                    await jupyterapp.restored;
                    while (jupyterapp.shell.currentWidget?.context?.path !== path) {
                        await new Promise(resolve => setTimeout(resolve, 50));
                    }
                    const panel = jupyterapp.shell.currentWidget;
                    await panel.context.ready;
                    await panel.sessionContext.ready;
                    await panel.sessionContext.session.kernel.info;
                };
                const late = new Promise((_, reject) => setTimeout(
                    () => reject(new Error(`${path} took more than ${seconds} seconds`)), seconds * 1000));
                await Promise.race([open(), late]);
            }""",
            [path, OPEN_WITHIN],
        )

    def leave(self, page: Page) -> None:
        """Close the open chapter, unsaved, and have its kernel ended in the meantime: that takes seconds."""
        kernel = page.evaluate(
            """() => {
                const panel = jupyterapp.shell.currentWidget;
                const {id} = panel.sessionContext.session.kernel;
                panel.dispose();
                return id;
            }"""
        )
        threading.Thread(target=self._end_kernel, args=(kernel,), daemon=True).start()

    def end_kernels(self) -> None:
        """End all kernels and what they started, whatever state their pages are in."""
        with urllib.request.urlopen(f"{self.url}/api/kernels?token={TOKEN}", timeout=10) as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            self._end_kernel(kernel["id"])

    def _end_kernel(self, kernel: str) -> None:
        address = f"{self.url}/api/kernels/{kernel}?token={TOKEN}"
        with contextlib.suppress(OSError):  # it has ended meanwhile, or the server has
            urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=30).close()

    def _wait_until_up(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and self._server.poll() is None:
            with contextlib.suppress(OSError):  # URLError is one
                urllib.request.urlopen(f"{self.url}/api/status?token={TOKEN}", timeout=5).close()
                return
            time.sleep(0.1)
        raise RuntimeError(f"the server did not come up:\n{self._log.read_text()}")


def run_all(page: Page, seconds: float = 180) -> None:
    """Run all cells of the open chapter, until JupyterLab says that they have ended; say where they stopped.

    The last output says it too early: a cell's number comes after its outputs.
    """
    ran = page.evaluate(
        """async seconds => {
            const {commands} = jupyterapp;
            // What is stored would look as if it had been run.
            await commands.execute('notebook:clear-all-cell-outputs');
            const late = new Promise(resolve => setTimeout(resolve, seconds * 1000, false));
            return Promise.race([commands.execute('notebook:run-all-cells'), late]);
        }""",
        seconds,
    )
    if not ran:
        found = cells(page)
        failed = [cell for cell in found for output in cell["outputs"] if output["output_type"] == "error"]
        missing = [cell for cell in found if cell["execution_count"] is None]
        raise RuntimeError(f"the chapter did not run to its end: {(failed or missing)[:1]}")


def cells(page: Page) -> list[dict[str, Any]]:
    """Return the open chapter's code cells as the front end has them: source, execution count, outputs."""
    found: list[dict[str, Any]] = page.evaluate(
        """() => jupyterapp.shell.currentWidget.content.model.toJSON().cells
            .filter(cell => cell.cell_type === 'code' && cell.source.length > 0)"""
    )
    return found


def box_of(page: Page, label: str) -> Locator:
    """Return the number box with this label in the panel of the open chapter."""
    return panel_of(page).get_by_role("spinbutton", name=label, exact=True)


def slider_of(page: Page, label: str) -> Locator:
    """Return the slider with this label in the panel of the open chapter."""
    return panel_of(page).get_by_role("slider", name=label, exact=True)


def panel_of(page: Page, number: int = 0) -> Locator:
    """Return the output that holds a panel of the open chapter: the first one, or another by its number."""
    outputs = page.locator(".jp-OutputArea-output")
    return outputs.filter(has=page.get_by_role("button", name="Cancel")).nth(number)


def set_boxes(page: Page, values: dict[str, int]) -> None:
    """Type into number boxes of the panel, by their labels."""
    for label, value in values.items():
        box = box_of(page, label)
        box.fill(str(value))
        box.press("Tab")


def press_run(page: Page) -> None:
    """Press the panel's Run."""
    panel_of(page).get_by_role("button", name="Run", exact=True).click()


def press_run_and_cancel(page: Page) -> None:
    """Press the panel's Run, then Cancel: at the first progress, or 300 ms after the run began.

    By a script in the page, to be in time: where processes are started, all is over soon after the first.
    """
    panel_of(page).evaluate(
        """panel => new Promise((resolve, reject) => {
            const buttons = [...panel.querySelectorAll('button')];
            const button = name => buttons.find(each => each.innerText === name);
            setTimeout(() => reject(new Error('no progress within 30 seconds')), 30000);
            let begun = false;
            const observer = new MutationObserver(() => {
                if (button('Cancel').disabled) return;
                const cancel = () => {
                    observer.disconnect();
                    button('Cancel').click();
                    resolve();
                };
                if (!begun) setTimeout(cancel, 300);
                begun = true;
                const progress = panel.querySelector('progress');
                if (progress && progress.value > 0) cancel();
            });
            observer.observe(panel, {subtree: true, childList: true, attributes: true});
            button('Run').click();
        })"""
    )
