"""A kernel of its own, for tests that look at what cells and interrupts do to it and to its processes."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_client.manager import KernelManager
from leftovers import library_processes
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
AMPLE = 60.0  # seconds that a cell may take
SOON = 10.0  # seconds: far more than an end takes


class Kernel:
    """A kernel as a notebook has it, in the notebooks' folder; it finds the tests' modules as well."""

    is_silent = False  # no longer answers

    def __enter__(self) -> Kernel:
        # Short: the path of a forkserver's socket has at most some 100 characters, and the folder is in it.
        self.folder = Path(tempfile.mkdtemp(prefix="ipc"))
        # ipykernel captures what a child prints, unless it finds a variable of pytest's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment |= {"TMPDIR": str(self.folder), "PYTHONPATH": os.pathsep.join(paths)}
        self.manager = KernelManager(
            kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()
        )
        self.manager.start_kernel(
            cwd=str(ROOT / "notebooks"),
            env=environment,
            extra_arguments=["--HistoryManager.enabled=False", "--log-level=ERROR"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._client = self.manager.client()
        try:
            self.wait_until_ready()
        except BaseException:
            self.manager.shutdown_kernel(now=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # The manager would kill the resource tracker too, and the semaphores' files would stay.
        with contextlib.suppress(psutil.NoSuchProcess):  # killed already, by the test
            workers, library = self.workers(), library_processes(self.pid)
            for process in [psutil.Process(self.pid), *workers]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            gone_within(SOON, library)
        self._client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_ready(self) -> None:
        """Connect to a kernel that was started, or restarted, and wait until it answers."""
        # Anew: a client that was connected to the kernel before it may stay deaf to this one.
        self._client.stop_channels()
        self._client = self.manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=AMPLE)
        # What a kernel tells before its client is connected is lost: ask until it is heard.
        asked: set[str] = set()
        heard = ""
        ends_at = time.monotonic() + AMPLE
        while heard not in asked:
            assert time.monotonic() < ends_at, "the kernel is not heard"
            asked.add(self._client.kernel_info())
            with contextlib.suppress(queue.Empty):
                heard = self._client.get_iopub_msg(timeout=0.2)["parent_header"].get("msg_id", "")
        # Not from the manager: on Windows it may know a launcher alone, which started the kernel.
        self.pid = int(self.run("import os\nprint(os.getpid())"))
        self._semaphores = self.run("import leftovers\nprint(leftovers.name_semaphores())").strip()

    def begin(self, code: str, until: str = "") -> str:
        """Start a cell; return its id once it runs and has printed what to wait for."""
        cell: str = self._client.execute(code)
        text = ""
        for message in self._messages(cell):
            text += message["content"].get("text", "")  # of a stream
            if message["msg_type"] in ("execute_input", "stream") and until in text:
                return cell
        raise AssertionError(f"the cell ended before {until!r}: {text}")

    def end(self, cell: str) -> tuple[str, str]:
        """Wait for the end of a cell; return "ok" or the exception that ended it, and what was printed."""
        # Not from the reply: ipykernel sends none when an interrupt comes right after the cell's last line.
        how, text = "ok", ""
        for message in self._messages(cell):
            how = message["content"].get("ename", how)
            # What an interrupted child writes as it ends goes to stderr, and may land in a later cell.
            if message["content"].get("name") == "stdout":
                text += message["content"]["text"]
        return how, text

    def show(self, code: str, cell_id: str = "") -> str:
        """Run a cell and say which one it is, as JupyterLab does; return what it shows, errors too."""
        content = {"code": code, "silent": False, "store_history": False, "stop_on_error": False}
        request = self._client.session.msg("execute_request", content, metadata={"cellId": cell_id})
        self._client.shell_channel.send(request)
        shown = [message["content"] for message in self._messages(request["header"]["msg_id"])]
        text = "".join(part.get("text", "") + "\n".join(part.get("traceback", [])) for part in shown)
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def run(self, code: str) -> str:
        """Run a cell to its end; return what it printed."""
        how, text = self.end(self.begin(code))
        assert how == "ok", (how, code)
        return text

    def _messages(self, cell: str) -> Iterator[dict[str, Any]]:
        """Yield what the kernel tells of a cell, up to its end."""
        state = ""
        while state != "idle":
            try:
                message = self._client.get_iopub_msg(timeout=AMPLE)
            except queue.Empty:
                self.is_silent = True
                raise AssertionError(f"the kernel has told nothing for {AMPLE:g} seconds") from None
            if message["parent_header"].get("msg_id") == cell:
                yield message
                state = message["content"].get("execution_state", "")

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def workers(self) -> list[psutil.Process]:
        """Return the processes below the kernel, without those of the standard library's own."""
        library = library_processes(self.pid)
        return [
            process
            for process in psutil.Process(self.pid).children(recursive=True)
            if process not in library and is_running(process)
        ]

    def semaphores(self) -> list[Path]:
        """Return the files of the kernel's semaphores, on Linux."""
        return list(Path("/dev/shm").glob(f"sem.{self._semaphores.strip('/')}-*"))

    def check_goes_on(self) -> None:
        """Check that no worker is left, or will be soon, and that the kernel runs another cell."""
        assert gone_within(SOON, self.workers())
        assert self.run("print(6 * 7)") == "42\n"


def gone_within(seconds: float, processes: list[psutil.Process]) -> bool:
    """Wait until processes have ended; say whether they have."""
    ends_at = time.monotonic() + seconds
    while any(map(is_running, processes)):
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.005)
    return True


def is_running(process: psutil.Process | int) -> bool:
    try:
        process = psutil.Process(process) if isinstance(process, int) else process
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
