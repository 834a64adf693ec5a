"""The folders of a student: what may be named, and what a confined process can open."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ftapp.common import confinement, local_files
from ftapp.common.confinement import Confinement
from ftapp.common.landlock import find_version
from ftapp.common.processes import make_python_command
from ftapp.recipe import find_name_problem, presets, sources

_TRY = """
import os, subprocess, sys, tempfile
from pathlib import Path
from ftapp.common import confinement, user_folders
student = confinement.enter()
student.link_data()
def attempt(what, act):
    try:
        act()
    except PermissionError:
        print(what, "refused")
    else:
        print(what, "done")
data, secret = map(Path, sys.argv[1:])
attempt("read the data", (data / "a.csv").read_text)
attempt("read by its link", (student.own / "data" / "a.csv").read_text)
attempt("write the data", lambda: (data / "a.csv").write_text("x"))
attempt("read a secret", secret.read_text)
attempt("read it by a link", (data / "link").read_text)
attempt("list its folder", lambda: list(secret.parent.iterdir()))
attempt("write beside it", (secret.parent / "new").touch)
attempt("write an own file", (student.own / "mine.csv").touch)
attempt("move it among the runs", lambda: (student.own / "mine.csv").rename(student.runs / "mine.csv"))
attempt("write a temporary file", tempfile.TemporaryFile)
attempt("download", (user_folders.cache() / "new").touch)
attempt("download a data set", (Path.home() / "scikit_learn_data" / "new").touch)
child = f"open({str(secret)!r})"
print("read it in another process", subprocess.run([sys.executable, "-c", child], stderr=subprocess.DEVNULL).returncode)
"""


@pytest.fixture
def student(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Confinement:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("text,label\na,1\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.csv").write_text("k")
    (data / "link").symlink_to(tmp_path / "secret" / "key.csv")
    made = Confinement.make("Zoé", tmp_path / "runs", (data,))
    made.own.mkdir(parents=True)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def test_a_student_may_name_data_runs_and_own_files(student: Confinement, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Confinement.read() == student
    (data,) = student.data
    run = student.runs / "20260101-101010-tiny-abcd" / "model"
    for path in (data / "a.csv", run, student.own / "mine.toml", Path(confinement.__file__).parents[2] / "recipes"):
        assert confinement.find_obstacle(path) is None
    others = student.own.parent / "Ana" / "mine.toml"
    for path in (data / "link", data / "../secret/key.csv", others, Path("/etc/passwd"), Path("/proc/self/environ")):
        assert str(data) in str(confinement.find_obstacle(path))
    for path in (run, data / "a.csv", student.own / "../x.toml"):
        assert f"write to {student.own}" in str(confinement.find_obstacle(path, writes=True))
    assert confinement.find_obstacle(student.own / "new.toml", writes=True) is None
    (data / "circle").symlink_to(data / "circle")
    assert confinement.find_obstacle(data / "circle") is None  # reading it fails as ever
    monkeypatch.delenv(confinement.VARIABLE)
    assert confinement.find_obstacle(Path("/etc/passwd"), writes=True) is None


def test_a_recipe_of_a_student_names_no_other_file(student: Confinement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    assert sources.resolve(f"csv:{student.data[0]}/a.csv").endswith("a.csv")
    with pytest.raises(ValueError, match="outside of the folders of this class"):
        sources.resolve("csv:/etc/passwd")
    with pytest.raises(ValueError, match="outside of the folders of this class"):
        presets.resolve("/etc")
    with pytest.raises(ValueError, match="outside") as caught:
        sources.resolve("csv:$A_SECRET")
    assert "hunter2" not in str(caught.value)
    assert "$A_SECRET" in str(caught.value)
    assert "outside of your own folder" in str(find_name_problem(student.data[0] / "mine.toml"))
    assert find_name_problem(student.own / "mine.toml") is None
    monkeypatch.chdir(student.own)
    assert local_files.expand("mine.csv") == Path("mine.csv")


def test_each_folder_with_data_has_a_link_of_its_own(student: Confinement) -> None:
    (data,) = student.data
    others = (data.parent / "b" / "data", data.parent / "c" / "data-2")
    Confinement.make("Zoé", student.runs, (*others, data)).link_data()
    more = Confinement.make("Zoé", student.runs, (data, *others))
    more.link_data()  # the server was started again with them in another order
    found = {each.name: each.readlink() for each in more.own.iterdir()}
    assert found == {"data": data, "data-2": others[0], "data-2-2": others[1]}
    (more.own / "data-2").unlink()
    (more.own / "data-2").write_text("the student's")
    student.link_data()
    assert {each.name for each in more.own.iterdir()} == {"data", "data-2"}


def test_a_folder_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    for name in ("data", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    given = (tmp_path / "data", tmp_path / "link", tmp_path / "other" / ".." / "data", tmp_path / "other")
    assert confinement.resolve_folders(given) == (tmp_path / "data", tmp_path / "other")


def test_temporary_files_that_nobody_has_changed_for_a_week_are_removed(student: Confinement, tmp_path: Path) -> None:
    temporary, elsewhere = Path(student.environment["TMPDIR"]), tmp_path / "elsewhere"
    for folder in (temporary / "old", temporary / "new", elsewhere):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (temporary / "link").symlink_to(elsewhere)
    for path in (temporary / "old", temporary / "link", elsewhere, elsewhere / "file"):
        os.utime(path, (0, 0), follow_symlinks=False)
    student.remove_leftovers()
    assert [each.name for each in temporary.iterdir()] == ["new"]
    assert (elsewhere / "file").exists()


def test_what_a_student_can_open(student: Confinement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", f"lib:{tmp_path}/cuda")
    assert student.find_opening(tmp_path / "cuda" / "libcudart.so") == tmp_path / "cuda"
    assert student.find_opening(tmp_path / "secret" / "key.csv") is None
    assert student.find_opening(tmp_path / "data" / "new") == tmp_path / "data"
    assert student.find_opening(student.runs / "new") == student.runs
    wide = Confinement.make("Zoé", student.runs, (tmp_path / "way",))
    (tmp_path / "way").symlink_to(tmp_path / "secret")
    assert wide.find_opening(tmp_path / "secret" / "key.csv") == tmp_path / "way"


def test_an_account_without_a_home_folder_has_folders_too(
    student: Confinement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    assert student.find_opening(tmp_path / "data" / "new") == tmp_path / "data"


def test_a_variable_that_is_set_by_accident_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(confinement.VARIABLE, "1")
    with pytest.raises(ValueError, match="FTAPP_CONFINED is damaged"):
        confinement.find_obstacle(Path("a.csv"))


@pytest.mark.skipif(not find_version(), reason="this kernel has no Landlock")
def test_the_kernel_refuses_what_lies_outside(student: Confinement, tmp_path: Path) -> None:
    command = [*make_python_command(), "-c", _TRY, str(student.data[0]), str(tmp_path / "secret" / "key.csv")]
    account = {"HOME": str(tmp_path / "home"), "FTAPP_CACHE": str(tmp_path / "cache")}  # a new one, without caches
    environment = {**os.environ, **account, "PYTHONPATH": str(Path(confinement.__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "read the data done",
        "read by its link done",
        "write the data refused",
        "read a secret refused",
        "read it by a link refused",
        "list its folder refused",
        "write beside it refused",
        "write an own file done",
        "move it among the runs done",
        "write a temporary file done",
        "download done",
        "download a data set done",
        "read it in another process 1",
    ]
    assert (tmp_path / "secret" / "key.csv").read_text() == "k"


@pytest.mark.skipif(not find_version(), reason="this kernel has no Landlock")
def test_who_only_watches_reads_runs_and_no_file_that_a_link_among_them_leads_to(tmp_path: Path) -> None:
    run, here = tmp_path / "runs" / "20260101-101010-tiny-abcd", tmp_path / "here"
    run.mkdir(parents=True)
    here.mkdir()
    for path in (run / "events.jsonl", here / "mine.toml", here / "key", tmp_path / "secret"):
        path.write_text("x")
    (run / "train.log").symlink_to(tmp_path / "secret")
    (run / "recipe.toml").symlink_to("/proc/self/environ")
    (run / "status.json").symlink_to(here / "key")
    code = """if True:
        import os, sys
        from pathlib import Path
        from ftapp.common import confinement
        run = Path(sys.argv[1])
        confinement.keep_to_runs(run.parent)
        def reads(path):
            try:
                return bool(path.read_bytes())
            except PermissionError:
                return False
        names = "events.jsonl", "train.log", "recipe.toml", "status.json"
        print([reads(run / name) for name in names], reads(Path("mine.toml")), sorted(os.listdir(".")))
        import decimal, textual.widgets  # a program goes on to import what it needs
        open(os.devnull, "w").write("x")
        print("done")
    """
    done = subprocess.run(
        [*make_python_command(), "-c", code, str(run)],
        cwd=here,
        env=os.environ | {"PYTHONPATH": str(Path(confinement.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[True, False, False, False] True ['key', 'mine.toml']", "done"]


@pytest.mark.skipif(not find_version(), reason="this kernel has no Landlock")
def test_runs_are_deleted_where_the_kernel_has_the_first_landlock(student: Confinement) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from ftapp.common import confinement, landlock
        from ftapp.experiments.trash import delete_run, restore
        from ftapp.runs.run_folder import RunFolder
        landlock.find_version = lambda: 1
        confinement.enter()
        deleted = delete_run(RunFolder(Path(sys.argv[1])))
        print((deleted.folder / "model" / "weights").read_text(), deleted.place.exists())
        restore(deleted)
    """
    run = student.runs / "20260101-101010-tiny-abcd"
    (run / "model").mkdir(parents=True)
    (run / "model" / "weights").write_text("w")
    done = subprocess.run(
        [*make_python_command(), "-c", code, str(run)],
        env=os.environ | {"PYTHONPATH": str(Path(confinement.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "w False\n"
    assert (run / "model" / "weights").read_text() == "w"
