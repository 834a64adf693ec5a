"""Runs on real clusters of this machine, cut off in the middle: they end as a run that nobody disturbed.

Clusters are slow to start and to notice something, so the tests share them: the run on Slurm begins first, and comes to
the limit of its job while the tests on Ray go on.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
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
from tests.support.presets import Tiny
from tests.support.processes import Start, none_left, wait_for
from tests.support.recipes import text_recipe as text_recipe_of

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

PRECISION = "precision=float32"  # which no machine has to measure
LEASE = "6"  # seconds
NODES = 3  # of which two are killed
STEP = 6  # after which the run stands still until it is cut off


@pytest.fixture(scope="module")
def undisturbed() -> list[History]:
    """The run that all others are compared with, once it was done."""
    return []


@pytest.fixture
def whole(undisturbed: list[History], do: Do, text_recipe: str) -> History:
    """A run of the text recipe that nobody disturbs."""
    if not undisturbed:
        undisturbed.append(do(text_recipe, PRECISION)[1])
    return undisturbed[0]


@pytest.fixture(scope="module", autouse=True)
def slurm_run(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder | None]:
    """A run whose job comes to its limit, on a cluster for all tests; None where no cluster can be started."""
    if slurm.find_missing() is not None:
        yield None
        return
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch, slurm.start_cluster(folder / "slurm") as configuration:
        patch.setenv("SLURM_CONF", str(configuration))
        with pytest.MonkeyPatch.context() as own:
            own.setenv("FTAPP_CACHE", str(folder / "cache"))
            own.setenv("FTAPP_CONFIG", str(folder / "config"))
            run = start_run(text_recipe_of(tiny), parse_target("slurm:tiny?time=2m&warning=40s"), folder)
        yield run
        if run.alive():
            send(run, Stop())
    none_left(folder)


@pytest.fixture(scope="module")
def ray_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A Ray cluster for all tests, of which each test may kill a node: its target, and a folder that it does not see.

    The caches of its machines lie in that folder.
    """
    pytest.importorskip("ray")
    hidden = tmp_path_factory.mktemp("hidden")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FTAPP_CACHE", str(hidden / "cache"))
            patch.setenv("FTAPP_CONFIG", str(hidden / "config"))
            patch.setenv(LEASE_SECONDS, LEASE)
            cluster = ray_cluster.start_cluster(NODES, hidden if os.geteuid() == 0 else None)
            address = stack.enter_context(cluster)
        yield address, hidden
    none_left(hidden)


def start_run(text: str, target: LaunchTarget, folder: Path) -> RunFolder:
    """Send a run to a cluster. It pauses in its middle, so that it is cut off there and nowhere else."""
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    recipe = recipes.load(file, None, ["checkpoint.every_steps=1", PRECISION])
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
def test_a_run_that_waits_in_the_queue_of_slurm_is_cancelled_there(text_recipe: str, tmp_path: Path) -> None:
    other = start_run(text_recipe, parse_target("slurm"), tmp_path)
    assert other.status() == "waiting", "the cluster has one processor, which another run has"
    assert not send(other, Stop())
    assert other.status() == "interrupted"


def test_a_sweep_on_ray_prunes_a_poor_trial(
    ray_head: tuple[str, Path], image_recipe: str, start: Start, tmp_path: Path
) -> None:
    # Poor trials need time to be found so, and good ones their end before the poor one is judged by them.
    text = image_recipe.replace("epochs = 3", "epochs = 200") + "[evaluate]\nevery = 40\n"
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    rate = "phase.head.learning_rate"
    process = start(
        *("mine.toml", "--json", "--set", f"{rate}=0.04", "--over", f"{rate}=[0.04, 0.03, 0.02, 0.01, 1e-6]"),
        *("--metric", "loss", "--seed", "18"),  # by which the poor trial is the last
        *("--on", ray_head[0], "--jobs", "2"),
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
    ray_head: tuple[str, Path], whole: History, text_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LEASE_SECONDS, LEASE)
    run = start_run(text_recipe, parse_target(ray_head[0]), tmp_path)
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
    ray_head: tuple[str, Path], whole: History, text_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, hidden = ray_head
    monkeypatch.setenv(LEASE_SECONDS, LEASE)
    monkeypatch.setenv("FTAPP_CACHE", str(hidden / "cache"))
    target = parse_target(f"{address}?shared=no")
    run = start_run(text_recipe, target, hidden)
    wait_for_step(run)
    assert run.status() == "running"
    [former] = find_processes("ftapp.launchers.ray_fetch", run.folder.name)
    former.suspend()  # as with a machine that sleeps
    wait_for(lambda: not run.alive())
    make_launcher(target).start(run, {})  # fetches again
    wait_for(lambda: run.status() == "running")
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


@pytest.mark.skipif(slurm.find_missing() is not None, reason=str(slurm.find_missing()))
def test_a_job_of_slurm_that_reaches_its_limit_is_queued_again_to_the_same_weights(
    slurm_run: RunFolder, whole: History
) -> None:
    wait_for(lambda: not slurm_run.alive())
    check_equal(slurm_run, whole)
    first, *_, last = (json.loads(file.read_text()) for file in sorted(slurm_run.leases.folder.glob("*.json")))
    assert last["job"] == first["job"]
    assert last["attempt"] >= 2, "a busy machine may need its whole time to come to the pause"
    queued = subprocess.run(["squeue", "--noheader", "--format", "%i"], capture_output=True, text=True, check=True)
    assert queued.stdout.split() in ([], [first["job"]])  # it may be ending
