"""The scripts of the page about batch jobs hold: they run with stand-ins for ftapp and Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.documents import blocks, page
from tests.support.processes import wait_for


@pytest.mark.parametrize("code", [0, 75])
@pytest.mark.parametrize("script", [each for each in blocks("sh", page("batch")) if each.startswith("#!/bin/bash")])
def test_slurm_scripts_queue_an_unfinished_run_again(script: str, code: int, tmp_path: Path) -> None:
    takes_signal = "--signal=B:USR1" in script and code == 75
    stand_ins = {
        "ftapp": "trap 'exit 75' USR1; touch trains; while :; do sleep 0.02; done" if takes_signal else f"exit {code}",
        "scontrol": 'echo "$@" > requeued',
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "job").write_text(script, encoding="utf-8")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    process = subprocess.Popen(["bash", "job"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    if takes_signal:
        wait_for((tmp_path / "trains").exists, process)
        process.send_signal(signal.SIGUSR1)  # to the script alone, as Slurm does
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    requeued = tmp_path / "requeued"
    assert (requeued.read_text("utf-8") if requeued.exists() else "") == ("requeue 7\n" if code else "")
