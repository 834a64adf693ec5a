"""What all tests share: tiny presets, a cache of their own, and runs in this process."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import seed as seed_python

# Before anything imports Keras: the tests' own process computes on TensorFlow, without its start-up notices.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TEXTUAL_FPS", "30")  # as `ftapp.tui` sets it, also where a test imports Textual first

import msgspec
import psutil
import pytest
from typer import testing
from typer.main import get_command

from ftapp import recipe
from ftapp.common import user_folders
from ftapp.runs import run_creation
from ftapp.runs.commands import AnyCommand
from ftapp.runs.event_reader import read
from ftapp.runs.history import History
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS
from ftapp.runs.replay import ReplayedCommand, write_commands
from ftapp.runs.run_folder import RunFolder
from tests.support import quick_starts, recipes
from tests.support.presets import Tiny, make_tiny

Do = Callable[..., tuple[int, History, RunFolder]]
Finished = tuple[History, RunFolder]


gc.disable()  # until all tests are imported, as in `ftapp.common.quick_imports`


def pytest_configure(config: pytest.Config) -> None:
    """Workers share one server of quick starts. OpenVINO reports nothing, also where a test imports it first."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    if config.getoption("numprocesses", None):
        quick_starts.share_server()
        all_tests = config.args_source is pytest.Config.ArgsSource.TESTPATHS  # those of some files may need no Keras
        if all_tests and os.environ["KERAS_BACKEND"] == "tensorflow":
            quick_starts.fork_workers(config)


def pytest_collection_finish() -> None:
    """What has been imported stays, so the collector need not look through it again.

    It looks seldom through what the tests make: by default it takes a third of the time of those of the interface.
    """
    gc.freeze()
    gc.set_threshold(50_000, 5, 5)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The costly tests first: workers steal from each other's ends, so that each of them ends with cheap ones."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> tuple[bool, ...]:
    """Sorts by cost: tests on real weights, on other backends, slow ones, real runs and screens, units of Keras."""
    marks = ("network" not in item.keywords, "backends" not in item.keywords, "slow" not in item.keywords)
    return (*marks, "unit" in item.path.parts, not _names_keras(item.path))


@functools.cache
def _names_keras(path: Path) -> bool:
    return "keras" in path.read_text("utf-8")


def pytest_xdist_auto_num_workers() -> int:
    """Two workers for each core, if each has 2 GiB: they wait half of their time, for processes, files and screens."""
    room = psutil.virtual_memory().available >> 31
    return max(1, min(2 * (os.cpu_count() or 1), room))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds what the probe of this machine's processor found, measured once for all workers."""
    import keras

    from ftapp.models import backend

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "probe"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTAPP_CACHE", str(folder))
        backend.choose_precision("auto")
    keras.config.set_dtype_policy("float32")
    return folder


@pytest.fixture
def probed(probe: Path, own_cache: Path) -> None:
    """The cache of a test whose runs find the processor probed."""
    for file in probe.glob("*.kept"):
        own_cache.mkdir(exist_ok=True)
        shutil.copy(file, own_cache)


@pytest.fixture
def quickly_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has what this process starts begin where Keras is imported, in tests that are not about the start."""
    quick_starts.use(monkeypatch)


@pytest.fixture
def image_recipe(tiny: Tiny, probed: None) -> str:
    return recipes.image_recipe(tiny)


@pytest.fixture
def text_recipe(tiny: Tiny, probed: None) -> str:
    return recipes.text_recipe(tiny)


@pytest.fixture
def completion_recipe(tiny: Tiny, probed: None) -> str:
    return recipes.completion_recipe(tiny)


@pytest.fixture
def lm_recipe(tiny: Tiny, probed: None) -> str:
    return recipes.lm_recipe(tiny)


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own for each test, but for those that need real downloads and keep these for the next time.

    The settings of the user hold for no test.
    """
    monkeypatch.setenv("FTAPP_CONFIG", str(tmp_path / "config"))
    if "network" not in request.keywords:
        monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "cache"))
    return user_folders.cache()


@pytest.fixture(autouse=True, scope="session")
def commands_built_once() -> Iterator[None]:
    """Have Typer's runner build the tree of commands once: that takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_get_command", functools.cache(get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Have processes of tests react to Ctrl-C, also where a shell has started the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Weights for which nobody gives a seed are the same each time: Keras draws their seeds from this generator."""
    seed_python(0)


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Puts back the handlers of signals. A process that another test starts would ignore what this one ignores."""
    handlers = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, AT_ONCE, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def own_precision() -> Iterator[None]:
    """Puts back Keras's precision, which a run in this process sets for itself."""
    import keras

    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def finished(tiny: Tiny, probe: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The run of the tiny image recipe, with a checkpoint of each of its nine steps: (history, run).

    It is done once, for tests that read it and change nothing.
    """
    import keras

    from ftapp.workers import run as run_worker

    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(probe, folder / "cache")
    file = folder / "tiny.toml"
    file.write_text(recipes.image_recipe(tiny), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTAPP_CONFIG", str(folder / "config"))
        patch.setenv("FTAPP_CACHE", str(folder / "cache"))
        run = run_creation.create(recipe.load(file, None, recipes.EVERY_STEP), "tiny", None, folder / "runs")
        assert run_worker.main(run.folder) == 0
    keras.config.set_dtype_policy("float32")
    return History.of(read(run.events_file)), run


@pytest.fixture
def ended(finished: Finished, probed: None, own_precision: None, tmp_path: Path) -> Finished:
    """A copy of the finished run, for tests that damage it or go on with it."""
    history, run = finished
    copy = RunFolder(tmp_path / "runs" / run.folder.name)
    shutil.copytree(run.folder, copy.folder)
    return history, copy


@pytest.fixture
def do(tmp_path: Path, own_precision: None) -> Do:
    """Run a recipe's text in this process, as a run's own process would: (exit code, history, run).

    commands: what lies in the run's control file when it starts. replayed: commands at given steps.
    """
    from ftapp.workers import run as run_worker

    def do(
        text: str, *overrides: str, commands: Sequence[AnyCommand] = (), replayed: Sequence[ReplayedCommand] = ()
    ) -> tuple[int, History, RunFolder]:
        file = tmp_path / "tiny.toml"
        file.write_text(text, encoding="utf-8")
        loaded = recipe.load(file, None, overrides)
        run = run_creation.create(loaded, "tiny", None, tmp_path / "runs")
        if commands:
            run.control_file.write_bytes(b"".join(msgspec.json.encode(command) + b"\n" for command in commands))
        write_commands(run, replayed)
        code = run_worker.main(run.folder)
        return code, History.of(read(run.events_file)), run

    return do
