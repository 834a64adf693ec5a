"""Runs on real clusters of this machine, cut off in the middle: they end as a run that nobody disturbed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import psutil
import pytest

from ftapp import recipe as recipes
from ftapp.launchers.choose import check_target, make_launcher
from ftapp.launchers.stop import send
from ftapp.launchers.target import LaunchTarget, parse_target
from ftapp.runs.commands import Pause, Stop
from ftapp.runs.history import History
from ftapp.runs.leases import LEASE_SECONDS
from ftapp.runs.replay import ReplayedCommand, write_commands
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.starting import make_run
from tests.conftest import Do
from tests.support import ray_cluster, slurm
from tests.support.processes import Start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

STEP = 6  # after which the run stands still until it is cut off


def start_run(text: str, target: LaunchTarget, folder: Path) -> RunFolder:
    """Send a run to a cluster. It pauses in its middle, so that it is cut off there and nowhere else."""
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    recipe = recipes.load(file, None, ["checkpoint.every_steps=1"])
    check_target(target)
    start = make_run(recipe, "mine", folder / "runs", command=["test"], offline=True)
    write_commands(start.run, [ReplayedCommand(phase_index=0, step=STEP, command=Pause())])
    start.start(make_launcher(target))
    return start.run


def wait_for_step(run: RunFolder) -> None:
    """Wait until the run stands still."""
    wait_for(lambda: run.history().paused or run.history().ended)
    history = run.history()
    assert history.ended is None, (history.ended, run.last_log_lines())
    assert len(history.steps) == STEP


def check_equal(run: RunFolder, whole: History) -> None:
    """Check that a run has ended with the weights, the losses and the results of the undisturbed one."""
    history = run.history()
    assert run.status() == "done", (history.ended, run.last_log_lines())
    assert history.saved
    assert whole.saved
    assert history.saved.weights == whole.saved.weights
    assert list(history.steps.column("loss")) == list(whole.steps.column("loss"))
    assert [each.values for each in history.evaluations] == [each.values for each in whole.evaluations]
    assert history.resumed


def find_processes(*words: str) -> list[psutil.Process]:
    """Find the processes whose commands contain these words."""
    commands = {each: " ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])}
    return [each for each, command in commands.items() if all(word in command for word in words)]


@pytest.mark.skipif(slurm.find_missing() is not None, reason=str(slurm.find_missing()))
def test_a_job_of_slurm_that_reaches_its_limit_is_queued_again_to_the_same_weights(
    do: Do, text_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with slurm.start_cluster(tmp_path / "slurm") as configuration:
        monkeypatch.setenv("SLURM_CONF", str(configuration))
        run = start_run(text_recipe, parse_target("slurm:tiny?time=1m&warning=25s"), tmp_path)
        wait_for(lambda: run.status() == "running")

        # The cluster has one processor, so another run waits in the queue, and can be cancelled there.
        other = start_run(text_recipe, parse_target("slurm"), tmp_path)
        assert other.status() == "waiting"
        assert not send(other, Stop())
        assert other.status() == "interrupted"

        entry = run.find_lease()
        assert entry
        _, whole, _ = do(text_recipe)  # meanwhile
        wait_for(lambda: not run.alive())
        check_equal(run, whole)
        last = run.leases.find_newest()
        assert last
        assert last.lease.job == entry.lease.job
        assert last.lease.attempt >= 2, "a busy machine may need its whole time to come to the pause"
        queued = subprocess.run(["squeue", "--noheader", "--format", "%i"], capture_output=True, text=True, check=True)
        assert queued.stdout.split() in ([], [entry.lease.job])  # it may be ending


def test_a_sweep_on_ray_prunes_a_poor_trial(image_recipe: str, start: Start, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (tmp_path / "mine.toml").write_text(image_recipe.replace("epochs = 3", "epochs = 15"), encoding="utf-8")
    rate = "phase.head.learning_rate"
    with ray_cluster.start_cluster() as address:
        process = start(
            *("mine.toml", "--json", "--set", f"{rate}=0.04", "--over", f"{rate}=[0.04, 0.03, 0.02, 0.01, 1e-6]"),
            *("--metric", "loss", "--seed", "5", "--on", address),  # by this seed, the poor trial is the last
            command="sweep",
        )
        stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    *others, pruned = json.loads(stdout)["sweep"]["trials"]
    assert {each["status"] for each in others} == {"done"}, stderr
    assert (pruned["status"], pruned["values"]) == ("pruned", {rate: 1e-6})
    assert pruned["why"].startswith("pruned: the best validation loss so far")
    last = RunFolder(tmp_path / "runs" / pruned["run"]).leases.find_newest()
    assert last
    assert last.lease.engine == "ray"


def test_a_run_whose_node_of_ray_is_killed_goes_on_elsewhere_to_the_same_weights(
    do: Do, text_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv(LEASE_SECONDS, "6")
    with ray_cluster.start_cluster() as address:
        run = start_run(text_recipe, parse_target(address), tmp_path)
        _, whole, _ = do(text_recipe)  # meanwhile
        wait_for_step(run)
        entry = run.find_lease()
        assert entry
        [node] = [each for each in psutil.Process(entry.lease.pid).parents() if each.name() == "raylet"]
        node.kill()  # the run's process is left, and still holds its lease
        wait_for(lambda: not run.alive())
        check_equal(run, whole)
        last = run.leases.find_newest()
        assert last
        assert last.lease.attempt == 2
        assert not psutil.pid_exists(entry.lease.pid), "it has found its lease lost"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hides a folder from a node")
def test_a_run_without_a_shared_disk_is_fetched_as_it_grows_and_outlives_its_node_and_its_connection(
    do: Do, text_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv(LEASE_SECONDS, "6")
    hidden = tmp_path / "runs"
    hidden.mkdir()
    monkeypatch.setenv("FTAPP_CACHE", str(hidden / "cache"))
    with ray_cluster.start_cluster(hidden) as address:
        target = parse_target(f"{address}?shared=no")
        run = start_run(text_recipe, target, tmp_path)
        _, whole, _ = do(text_recipe)  # meanwhile
        wait_for_step(run)
        assert run.status() == "running"
        [former] = find_processes("ftapp.launchers.ray_fetch", run.folder.name)
        former.suspend()  # as with a machine that sleeps
        wait_for(lambda: not run.alive())
        make_launcher(target).start(run, {})  # fetches again
        former.resume()
        former.wait(60)
        [worker] = find_processes("ftapp.workers.run", run.folder.name)
        [node] = [each for each in worker.parents() if each.name() == "raylet"]
        for server in find_processes("ray.util.client.server", "--mode=specific-server"):
            server.kill()  # the connection to this machine
        node.kill()
        wait_for(lambda: not run.alive())
        assert not find_processes("ray::Relay"), "a later start makes its own"
        check_equal(run, whole)
        assert run.has_model()
        last = run.leases.find_newest()
        assert last
        assert last.lease.attempt == 2
        worker.wait(60)  # nobody takes what it writes
