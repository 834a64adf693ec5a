"""Trackers and notifications of real runs: their own process, beside that of the run."""

from __future__ import annotations

import json
from pathlib import Path

import psutil

from ftapp.recipe.user_settings import find_settings_file
from ftapp.runs.phase_events import Stepped
from tests.support.processes import Start, find_run, wait_for
from tests.support.webhook import serve_webhook


def test_a_run_tells_its_trackers_and_its_user(text_recipe: str, start: Start, tmp_path: Path) -> None:
    track = "[track]\nhistory = 'csv'\ntensorboard = true\n"
    (tmp_path / "tiny.toml").write_text(text_recipe + track, encoding="utf-8")
    find_settings_file().parent.mkdir(parents=True)
    with serve_webhook() as hook:
        find_settings_file().write_text(f'[notify]\nwebhook = "{hook.address}"\n', encoding="utf-8")
        process = start("tiny.toml", "--json")
        stdout, stderr = process.communicate()
        result = json.loads(stdout)
        folder = Path(result["run"])
        assert process.returncode == 0, stderr
        # The command ends after the trackers have everything, and says where it is.
        assert f"history: {folder}/history.csv" in stderr
        assert len((folder / "history.csv").read_text("utf-8").splitlines()) == 1 + 1 + result["steps"]
        assert list((folder / "tensorboard").iterdir())
        (report,) = hook.received
        assert report["text"].startswith(f"{folder.name}: done, test loss ")
        assert report["metrics"] == result["metrics"]

        process = start("tiny.toml", "--set", "phase.finetune.steps=100000", "--set", "track.tensorboard=false")
        run = wait_for(
            lambda: find_run(tmp_path / "runs", lambda each: isinstance(each, Stepped) and each.step > 12), process
        )
        assert run is not None
        words = {"ftapp.workers.run", str(run.folder)}
        (worker,) = (each for each in psutil.process_iter(["cmdline"]) if words <= set(each.info["cmdline"] or ()))
        worker.kill()
        process.communicate()
        assert process.returncode == 1
        assert [each["status"] for each in hook.received] == ["done", "crashed"]
        assert (run.folder / "history.csv").is_file()
        assert not (run.folder / "tensorboard").exists()
