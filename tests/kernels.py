"""A kernel of its own, for tests that look at what a notebook's cells do to it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from jupyter_client.manager import KernelManager
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60


class Kernel:
    """A kernel that is told which cell of the notebook it runs, as JupyterLab tells it."""

    def __init__(self, folder: Path) -> None:
        self.manager = KernelManager(
            kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()
        )
        self.manager.start_kernel(
            cwd=str(folder),
            env=os.environ | {"TMPDIR": str(folder)},
            extra_arguments=["--HistoryManager.enabled=False", "--log-level=ERROR"],
        )
        self.connect()

    def connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=SECONDS)
        self.run("%load_ext ipc_helpers")

    def run(self, code: str, cell_id: str = "") -> str:
        """Run a cell; return what it printed, or the error that it showed."""
        content = {"code": code, "silent": False, "store_history": False, "stop_on_error": False}
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell_id})
        self.client.shell_channel.send(message)
        text, state = "", ""
        while state != "idle":
            reply = self.client.get_iopub_msg(timeout=SECONDS)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                content = reply["content"]
                text += content.get("text", "") + "\n".join(content.get("traceback", []))
                state = content.get("execution_state", "")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
