"""Exports of tiny models: each is read by its own runtime, without ftapp, and answers as the model does."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tokenizers
from PIL import Image
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.common.errors import RunError
from ftapp.data import images
from ftapp.data.encoding import encode_images
from ftapp.models import saved_model
from ftapp.models.export import check, tokenizer_json, write
from ftapp.runs.export_formats import FORMATS
from ftapp.runs.run_folder import RunFolder
from tests.support import recipes
from tests.support.exports import execute, export_run, save_run, save_vit
from tests.support.presets import Tiny
from tests.support.quick_starts import make_script_command

MakeRun = Callable[..., RunFolder]
_REVIEWS = [("good", 4), ("great", 5), ("fine", 3), ("poor", 2), ("bad", 1)]


@pytest.fixture(scope="session")
def make_run(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Makes the run of a family of models; equal ones are made once."""
    made: dict[tuple[str, ...], RunFolder] = {}
    place = tmp_path_factory.mktemp("exported")
    rated = [f"{word} film {number},{stars}\n" for word, stars in _REVIEWS for number in range(9)]
    tagged = [f"{word} n{at},{word}|film\n{word} plot n{at},{word}\n" for at in range(9) for word, _ in _REVIEWS]
    table, tags = place / "rated.csv", place / "tags.csv"
    table.write_text("text,label\n" + "".join(rated))
    tags.write_text("text,label\n" + "".join(tagged))

    def text(family: str) -> str:
        if family == "vit":
            made = recipes.image_recipe(tiny).replace(str(tiny.vgg), str(save_vit(place / "vit")))
            return made.replace("[16, 16]", "[8, 8]")
        if family == "numbers":
            made = recipes.text_recipe(tiny).replace("text-classification", "text-regression")
            return made.replace(str(tiny.reviews), str(table))
        if family == "sets":
            made = recipes.text_recipe(tiny).replace("text-classification", "text-multi-label")
            return made.replace(str(tiny.reviews), str(tags)).replace("[data]", '[data]\nlabel_separator = "|"')
        usual = {"vgg": recipes.image_recipe, "bert": recipes.text_recipe, "gpt2": recipes.lm_recipe}
        return (usual | {"pairs": recipes.completion_recipe})[family](tiny)

    def make(family: str, *overrides: str, precision: str = "float32") -> RunFolder:
        key = (family, precision, *overrides)
        if key not in made:
            made[key] = save_run(text(family), place / str(len(made)), *overrides, precision=precision)
        return made[key]

    return make


def skip_unless_installed(to: str) -> None:
    if missing := [package for package in FORMATS[to].needs if find_spec(package) is None]:
        pytest.skip(f"{missing[0]} is not installed")


@pytest.mark.parametrize(
    ("to", "families"),
    [
        ("onnx", {"vgg": ["model.normalize=true"]}),
        pytest.param("onnx", {"gpt2": []}, marks=pytest.mark.slow),
        ("onnx", {"sets": []}),
        pytest.param("litert", {"bert": []}, marks=pytest.mark.slow),
        ("openvino", {"vit": []}),
        pytest.param("saved_model", {"bert": ["model.head=one-vs-rest"]}, marks=pytest.mark.slow),
        pytest.param(
            "transformers",
            {"bert": ["model.normalize=true", "model.head=linear-svm"], "vit": [], "pairs": []},
            marks=[pytest.mark.backends, pytest.mark.slow],
        ),
        pytest.param("keras-hub", {"numbers": ["model.normalize=true"], "vit": [], "gpt2": []}, marks=pytest.mark.slow),
        pytest.param("openvino", {"gpt2": []}, marks=pytest.mark.slow),
        pytest.param("litert", {"pairs": []}, marks=pytest.mark.slow),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_an_export_answers_as_the_model(
    to: str,
    families: dict[str, list[str]],
    make_run: MakeRun,
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skip_unless_installed(to)
    if to in ("keras-hub", "saved_model"):  # the lines of the README import Keras and TensorFlow themselves
        monkeypatch.setattr(check, "make_script_command", make_script_command)
    programs: list[tuple[str, Path]] = []
    for family, overrides in families.items():
        folder = tmp_path / family
        made = export_run(make_run(family, *overrides), to, folder, examples=12)
        assert made.check is not None
        assert made.check.agreeing == made.check.examples
        assert made.check.difference < 1e-5 * (1 if family != "numbers" else 1000)
        assert made.check.before == pytest.approx(made.check.after, abs=1e-3)
        if family not in ("vgg", "vit"):
            assert made.check.tokens == made.check.examples
        if family in ("gpt2", "pairs"):
            assert made.check.continuations == (5, 5)
        readme = (folder / "README.md").read_text("utf-8")
        assert not re.findall(r"^- [A-Z]\w+\.\w", readme, re.MULTILINE), "a note that begins with code has a capital"
        (snippet,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        shutil.copy(tiny.photos / "down" / "3.png", folder / "photo.jpg")
        programs.append((snippet, folder))
    # The lines of the README work as they stand.
    for (family, overrides), (_, folder), shown in zip(families.items(), programs, execute(programs), strict=True):
        if family in ("vgg", "vit", "bert", "sets", "numbers"):
            example: Any = folder / "photo.jpg" if family in ("vgg", "vit") else "This is a text."
            wanted = saved_model.load(make_run(family, *overrides).model_folder).predict([example])[0]
            found = [float(each) for each in re.findall(r"-?\d+\.?\d*(?:e[+-]\d+)?", shown)]
            assert found == pytest.approx(wanted.tolist(), rel=1e-4, abs=1e-4)


@pytest.mark.slow
@pytest.mark.backends
def test_a_torch_program_is_written_by_a_process_with_torch(make_run: MakeRun, tmp_path: Path) -> None:
    skip_unless_installed("torch")
    run, folder = make_run("bert"), tmp_path / "made"
    arguments = ["export", str(run.folder), "--to", "torch", "-o", str(folder), "--examples", "9", "--json"]
    result = CliRunner().invoke(app.app, arguments)
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert (made["check"]["agreeing"], made["check"]["tokens"]) == (9, 9)
    assert "model.pt2" in made["files"]
    # A folder that is there stays, unless it is to be replaced.
    again = CliRunner().invoke(app.app, arguments)
    assert (again.exit_code, "replace it (--force)" in again.output) == (2, True)


@pytest.mark.parametrize("to", [pytest.param("openvino", marks=pytest.mark.slow), "litert"])
def test_an_export_in_int8_is_checked_by_its_answers(to: str, make_run: MakeRun, tmp_path: Path) -> None:
    # LiteRT leaves small kernels as they are.
    run = make_run("bert") if to == "openvino" else make_run("vgg", "model.pooling=flatten", "model.hidden=[64]")
    made = export_run(run, to, tmp_path / "int8", int8=True)
    assert made.check is not None
    assert made.check.tolerance is None
    assert made.check.agreeing >= 0.95 * made.check.examples
    assert 0 < made.check.difference < 0.2
    plain = export_run(run, to, tmp_path / "float", examples=0)
    weights = "model.bin" if to == "openvino" else "model.tflite"
    assert made.files[weights] < plain.files[weights]


def test_a_run_in_bfloat16_is_exported_in_float32(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("vgg", precision="mixed_bfloat16")
    assert any(each.compute_dtype == "bfloat16" for each in saved_model.load(run.model_folder).model.layers)
    made = export_run(run, "onnx", tmp_path / "made")
    assert made.check is not None
    assert made.check.difference < 1e-6
    graph = onnx.load(tmp_path / "made" / "model.onnx").graph
    assert {each.data_type for each in graph.initializer} <= {onnx.TensorProto.FLOAT, *(onnx.TensorProto.INT64, 6)}
    assert [axis.dim_param for axis in graph.input[0].type.tensor_type.shape.dim] == ["batch", "", "", ""]


def test_an_export_whose_answers_differ_from_the_model_is_not_written(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The written model has other weights than the run's, as that of a wrong converter."""
    right = write._WRITERS["onnx"]

    def convert(request: Any, folder: Path) -> Any:
        layer = request.trained.model.get_layer("classifier")
        former = layer.get_weights()
        layer.set_weights([-each for each in former])
        written = right(request, folder)
        layer.set_weights(former)
        return written

    monkeypatch.setitem(write._WRITERS, "onnx", convert)
    with pytest.raises(RunError, match=r"does not answer as the model does: \d of 10 answers .* nothing was written"):
        export_run(make_run("vgg"), "onnx", tmp_path / "made", examples=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "family", "overrides", "message"),
    [
        ("transformers", "vgg", [], r"its backbone is a VGGBackbone.*the nearest format: --to onnx"),
        ("transformers", "bert", ["model.hidden=[4]"], r"its head has hidden layers.*--to onnx"),
        ("keras-hub", "bert", ["model.hidden=[4]"], r"its head has hidden layers.*--to saved_model"),
        ("keras-hub", "vgg", [], r"VGGImageClassifier (has other layers|does not take its head).*--to saved_model"),
        ("keras-hub", "vgg", ["model.features=block1_pool"], r"on the inner layer 'block1_pool'"),
    ],
)
def test_a_format_that_cannot_hold_a_model_is_refused_with_the_reason(
    to: str, family: str, overrides: list[str], message: str, make_run: MakeRun, tmp_path: Path
) -> None:
    skip_unless_installed(to)
    with pytest.raises(RunError, match=rf"cannot be exported to {to}: .*{message}"):
        export_run(make_run(family, *overrides), to, tmp_path / "made", examples=0)
    assert not (tmp_path / "made").exists()


def test_a_run_without_its_data_is_exported_without_the_check(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny.photos, tmp_path / "own")
    run = save_run(recipes.image_recipe(tiny).replace(str(tiny.photos), str(tmp_path / "own")), tmp_path)
    shutil.rmtree(tmp_path / "own")
    with pytest.raises(RunError, match=r"data cannot be read.*--examples 0 leaves out the check"):
        export_run(run, "onnx", tmp_path / "made")
    assert export_run(run, "onnx", tmp_path / "made", examples=0).check is None


def test_tokens_of_odd_texts_are_equal(make_run: MakeRun) -> None:
    texts = [
        "",
        "The FILM was  good!?",
        "caf\u00e9 na\u00efve Stra\u00dfe \u0130",
        "good<br />bad<BR>the\r\nfilm\rwas",
        "\u6771\u4eac good \U0001f642 film",
        "very " * 40,
        "[CLS] the [SEP]",
        "a\u00a0film was\u3000good",
        "a\x0bwas\x85good $the\u00b4 \u2013 film\u200bwas",
        "\ufb01lm \uff47\uff4f\uff4f\uff44 go\u00adod",
    ]
    for family in ("bert", "gpt2"):
        trained = saved_model.load(make_run(family).model_folder)
        made = tokenizer_json.make_tokenizer(trained)
        assert made is not None
        again = tokenizers.Tokenizer.from_str(made.to_str())
        differing = [text for text in texts if not tokenizer_json.count_equal(trained, again, [text])]
        assert differing == []


def test_the_program_reads_images_as_the_training(make_run: MakeRun, tmp_path: Path) -> None:
    run, folder = make_run("vgg"), tmp_path / "made"
    export_run(run, "onnx", folder, examples=0)
    scope: dict[str, Any] = {"__file__": str(folder / "predict.py"), "__name__": "predict"}
    exec((folder / "predict.py").read_text("utf-8"), scope)
    random = np.random.default_rng(0)
    preprocessor = saved_model.load(run.model_folder).preprocessor
    for mode, size in [("RGB", (16, 16)), ("RGB", (37, 21)), ("L", (9, 40)), ("RGBA", (30, 30)), ("P", (5, 7))]:
        pixels = random.integers(0, 256, (size[1], size[0], 4), np.uint8)
        picture = Image.fromarray(pixels, "RGBA").convert(mode)
        picture.save(tmp_path / "odd.png")
        found = scope["encode"]([tmp_path / "odd.png"])["images"] * np.float32(1 / 255)
        wanted = encode_images([images.read(tmp_path / "odd.png", 16)], preprocessor)
        assert np.abs(found - wanted).max() < 1e-5, (mode, size)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random.integers(0, 256, (600, 400, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    found = scope["encode"]([tmp_path / "turned.jpg"])["images"] * np.float32(1 / 255)
    assert np.abs(found - encode_images([images.read(tmp_path / "turned.jpg", 16)], preprocessor)).max() < 1e-5


def test_what_cannot_be_exported_is_refused_before_keras_starts(make_run: MakeRun, tmp_path: Path) -> None:
    run = str(make_run("bert").folder)
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "mine.txt").touch()
    (tmp_path / "file").touch()
    for arguments, message in [
        (["--to", "onnx", "--int8"], "int8 is for openvino and litert"),
        (["--to", "saved_model", "-o", str(tmp_path / "file")], "is a file; an export is a folder"),
        (["--to", "saved_model", "-o", str(tmp_path / "held")], "replace it (--force)"),
        (["--to", "saved_model", "-o", str(tmp_path / "held"), "--force"], "holds no export but 'mine.txt'"),
        (["--to", "tflite"], "there is no format 'tflite'; did you mean 'litert'?"),
    ]:
        result = CliRunner().invoke(app.app, ["export", run, *arguments])
        assert (result.exit_code, message in result.output) == (2, True), result.output
    assert keras.config.dtype_policy().name == "float32"
