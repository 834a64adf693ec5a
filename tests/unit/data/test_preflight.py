"""What is wrong with data is said before a process starts: at once, in each command alike, with nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ftapp import recipe
from ftapp.common import formatting
from ftapp.common.errors import RecipeError
from ftapp.data import preflight, reading
from tests.support.quick_starts import make_command


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    file = tmp_path / "reviews.csv"
    rows = [f"a review {number},{'pos' if number % 2 else 'neg'}" for number in range(20)]
    file.write_text("\n".join(["Text,label", *rows]), encoding="utf-8")
    return file


def broken_photos(folder: Path) -> None:
    """Twelve pictures of two classes, of which one is cut off."""
    for number in range(12):
        file = folder / ("dog" if number % 2 else "cat") / f"{number // 2}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(file)
    whole = (folder / "cat" / "3.png").read_bytes()
    (folder / "cat" / "3.png").write_bytes(whole[:-30])


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "bert-full", "--profile", "quick", "--set"),
        ("run", "bert-full", "--profile", "quick", "--repeat", "2", "--set"),
        ("run", "lesson-bert-frozen-attention", "--profile", "quick", "--set"),
        ("plan", "bert-full", "--profile", "quick", "--set"),
        ("lr-find", "bert-full", "--profile", "quick", "--set"),
        ("advise", "bert-full", "--profile", "quick", "--set"),
    ],
)
def test_each_command_says_it_at_once_and_leaves_nothing(arguments: tuple[str, ...], reviews: Path) -> None:
    script = "import sys; from ftapp.cli.app import main; sys.argv[0] = 'ftapp'\ntry: main()\nfinally: "
    script += "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    folder = reviews.parent / "runs"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments, f"data.source=csv:{reviews}"],
        capture_output=True, text=True, check=False, env={**os.environ, "FTAPP_RUNS": str(folder)},
    )  # fmt: skip
    assert done.returncode == 2
    *before, said = done.stderr.splitlines()
    assert said == (
        f"{reviews}: data.text_column: there is no column 'text'; the columns are 'Text', 'label'; "
        "--set data.text_column=Text"
    )
    # A single run reads its data itself, before it imports Keras; its folder goes when they are refused.
    is_single = arguments[:2] == ("run", "bert-full") and "--repeat" not in arguments
    assert [line.startswith("run ") for line in before] == [True] * is_single
    assert not list(folder.glob("**/recipe.toml"))


def test_a_refused_recipe_is_no_run_in_json(reviews: Path) -> None:
    command = make_command("ftapp.cli", "run", "bert-full", "--profile", "quick", "--json")
    done = subprocess.run(
        [*command, "--set", f"data.source=csv:{reviews}"], capture_output=True, text=True, check=False
    )
    result: dict[str, Any] = json.loads(done.stdout)
    assert (result["status"], result["run"]) == ("refused", None)


@pytest.mark.parametrize("options", [(), ("--repeat", "2"), ("--repeat", "2", "--jobs", "2")])
def test_a_broken_picture_leaves_neither_run_nor_experiment(options: tuple[str, ...], tmp_path: Path) -> None:
    broken_photos(tmp_path / "photos")
    runs = tmp_path / "runs"
    command = make_command("ftapp.cli", "run", "vgg16-feature-extractor", "--profile", "quick", *options)
    done = subprocess.run(
        [*command, "--set", f"data.source=folder:{tmp_path}/photos", "--set", "data.classes="],
        capture_output=True, text=True, check=False, env={**os.environ, "FTAPP_RUNS": str(runs)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "cat/3.png: data.source: this image cannot be decoded" in done.stderr
    assert not list(runs.rglob("recipe.toml"))


def test_a_large_file_is_told_while_it_is_read(reviews: Path) -> None:
    loaded = recipe.load(
        recipe.find("bert-full"), "quick", [f"data.source=csv:{reviews}", "data.text_column=Text", "data.limit=20"]
    )
    reports: list[str] = []
    preflight.check([loaded], lambda activity, done, total: reports.append(activity))
    assert reports == []
    rows = [f"{number} {'good ' * 20_000},{'pos' if number % 2 else 'neg'}" for number in range(44)]
    reviews.write_text("\n".join(["Text,label", *rows]), encoding="utf-8")
    preflight.check([loaded], lambda activity, done, total: reports.append(activity))
    size = formatting.format_size(reviews.stat().st_size)
    assert reports == [f"reading reviews.csv, {size}", "checking the 44 rows of reviews.csv"]


def test_equal_data_are_read_once(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = recipe.load(
        recipe.find("bert-full"), "quick", [f"data.source=csv:{reviews}", "data.text_column=Text", "data.limit=20"]
    )
    read: list[int] = []
    monkeypatch.setattr(reading, "check", lambda each, progress: read.append(each.seed))
    preflight.check([loaded, loaded.model_copy(update={"title": "another"}), loaded.model_copy(update={"seed": 5})])
    assert read == [0, 5]


def test_problems_of_all_arms_are_said_together(reviews: Path) -> None:
    overrides = [f"data.source=csv:{reviews}", "data.limit=20"]
    loaded = recipe.load(recipe.find("bert-full"), "quick", overrides)
    other = loaded.data.model_copy(update={"text_column": "label", "label_column": "class"})
    with pytest.raises(RecipeError) as caught:
        preflight.check([loaded, loaded.model_copy(update={"data": other})])
    assert [problem.key for problem in caught.value.problems] == ["data.text_column", "data.label_column"]
