"""The process behind Try it, on tiny runs of each task: what it answers is what the saved model computes."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_hub
import msgspec
import numpy as np
import pytest
from PIL import Image

from ftapp import data, recipe
from ftapp.common import confinement
from ftapp.common.confinement import Confinement
from ftapp.common.errors import RunError
from ftapp.data.texts import prepare
from ftapp.models import build, generation, saved_model
from ftapp.rpc.messages import Generated
from ftapp.rpc.prediction_messages import PredictQuestion, Sampling, WrittenText
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.rpc.server import Request
from ftapp.runs import narration
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.predictor import make_handlers
from ftapp.workers.run_models import RunModels
from tests.conftest import Do, Finished
from tests.support.presets import Tiny
from tests.support.recipes import without_samples


def asked(handler: Callable[..., Any], run: RunFolder, lines: list[Any] | None = None, **parameters: Any) -> Any:
    request = Request(1, "", {}, (lines if lines is not None else []).append)
    return handler(request, str(run.folder), **parameters)


def test_it_classifies_an_image_file(
    finished: Finished, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = finished
    handlers = make_handlers(RunModels(), tmp_path)
    ready = asked(handlers["load"], run)
    assert (ready.task, ready.classes, ready.head) == ("image-classification", ("across", "down"), "softmax")
    assert "random" in ready.no_base
    file = tiny.photos / "down" / "3.png"
    found = asked(handlers["classify"], run, text=None, image=str(file))
    with Image.open(file) as image:
        expected = saved_model.load(run.model_folder).predict([np.asarray(image)])[0]
    assert np.allclose(found.scores, expected, atol=1e-6)
    assert sum(found.scores) == pytest.approx(1, abs=1e-5)
    assert found.meaning == "probabilities"
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    wrong: list[tuple[dict[str, Any], str]] = [
        (
            {"text": None, "image": str(tmp_path / "text.png")},
            "it holds a web page or another text|no picture of a kind",
        ),
        ({"text": None, "image": str(tmp_path / "none.png")}, "No such file"),
        ({"text": "words", "image": None}, "classifies image files"),
    ]
    for given, message in wrong:
        with pytest.raises(RunError, match=message):
            asked(handlers["classify"], run, **given)
    with pytest.raises(RunError, match="only a causal language model writes text"):
        asked(handlers["generate-base"], run, prompt="the")
    student = Confinement.make("ana", run.folder.parent, ())
    monkeypatch.setenv(confinement.VARIABLE, student.environment[confinement.VARIABLE])
    for question in ("classify", "explain-one"):
        with pytest.raises(RunError, match="outside of the folders of this class"):
            asked(handlers[question], run, text=None, image=str(file))


def outcome(true: list[int], scores: Any) -> list[list[int]]:
    """How often each class (rows) is taken for each (columns)."""
    counts = np.zeros((2, 2), int)
    np.add.at(counts, (true, scores.argmax(axis=1)), 1)
    return counts.tolist()


@pytest.mark.slow
def test_texts_as_users_have_them_are_answered_as_in_the_evaluation(
    text_recipe: str, do: Do, tiny: Tiny, tmp_path: Path
) -> None:
    rows = [(row[0], row[1]) for row in csv.reader(tiny.reviews.read_text("utf-8").splitlines()[1:])]
    raw = {}
    for number, (text, label) in enumerate(rows):
        words = text.split()
        # Of sixteen tokens that the model reads, these leave but a few where the tags are not taken away.
        raw["<br /><br />".join(words[:4]) + "\r\nvery\u0301 " + " ".join(words[4:])] = (number, label)
    with (tmp_path / "tags.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "label"), *((text, label) for text, (_, label) in raw.items())])
    _, history, run = do(text_recipe, f"data.source=csv:{tmp_path}/tags.csv", "model.sequence_length=24")
    loaded = recipe.load(run.recipe_file)
    test = data.load(loaded.data, loaded.task, loaded.seed).test
    mine = {prepare(text): text for text in raw}
    asked_for = [mine[str(test[index])] for index in range(len(test))]
    evaluated = next(each.counts for each in history.confusions if each.final)
    assert outcome(test.labels.tolist(), saved_model.load(run.model_folder).predict(asked_for)) == evaluated
    handlers = make_handlers(RunModels(), tmp_path)
    scores = [asked(handlers["classify"], run, text=text, image=None).scores for text in asked_for]
    assert outcome(test.labels.tolist(), np.array(scores)) == evaluated


def test_image_files_of_any_kind_are_answered_as_in_the_evaluation(
    image_recipe: str, do: Do, tiny: Tiny, tmp_path: Path
) -> None:
    for number, path in enumerate(sorted(tiny.photos.rglob("*.png"))):
        image = Image.open(path)
        folder = tmp_path / "photos" / "Train" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        orientation = Image.Exif()
        orientation[0x0112] = 6
        if number % 4 == 0:
            image.save(folder / f"{number}.jpg", quality=95, exif=orientation)
        elif number % 4 == 1:
            image.convert("RGBA").save(folder / f"{number}.png")
        elif number % 4 == 2:
            grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
            Image.fromarray(grey).save(folder / f"{number}.png")
        else:
            image.convert("CMYK").save(folder / f"{number}.TIF")
    _, history, run = do(image_recipe, f"data.source=folder:{tmp_path}/photos")
    assert history.summary()["data_notes"] == ["classes by folder: those in Train"]
    assert history.data is not None
    assert narration.narrate(history.data)[-1] == "classes by folder: those in Train"
    loaded = recipe.load(run.recipe_file)
    test = data.load(loaded.data, loaded.task, loaded.seed).test
    files = [file for at in range(len(test)) if (file := test.find_file(at))]
    evaluated = next(each.counts for each in history.confusions if each.final)
    trained = saved_model.load(run.model_folder)
    assert outcome(test.labels.tolist(), trained.predict(files)) == evaluated
    handlers = make_handlers(RunModels(), tmp_path)
    scores = [asked(handlers["classify"], run, text=None, image=str(file)).scores for file in files]
    assert outcome(test.labels.tolist(), np.array(scores)) == evaluated
    with pytest.raises(ValueError, match=r"an array of shape \(20, 24\) is no RGB image"):
        trained.predict([np.zeros((20, 24))])
    with pytest.raises(ValueError, match="the pixels lie between 0 and 1"):
        trained.predict([np.full((20, 24, 3), 0.5)])


@pytest.mark.slow
def test_examples_of_the_test_split_come_with_mistakes_first(
    text_recipe: str, image_recipe: str, do: Do, tmp_path: Path
) -> None:
    for text in (text_recipe, image_recipe):
        _, history, run = do(text)
        handlers, lines = make_handlers(RunModels(), tmp_path), list[Any]()
        found = asked(handlers["held-out"], run, lines, count=200)
        loaded = recipe.load(run.recipe_file)
        test = data.load(loaded.data, loaded.task, loaded.seed)
        assert len(found) == len(test.test)
        assert any(line.get("progress") == "trying the test split" for line in lines)
        counts = next(each.counts for each in history.confusions if each.final)
        wrong = sum(count for true, row in enumerate(counts) for taken, count in enumerate(row) if true != taken)
        assert [each.is_right for each in found] == [False] * wrong + [True] * (len(found) - wrong)
        for part in (found[:wrong], found[wrong:]):
            scores = [each.prediction.best[1] for each in part]
            assert scores == sorted(scores, reverse=True)
        for each in found[:3]:
            given = {"text": each.text, "image": each.file}
            assert asked(handlers["classify"], run, **given).best[0] == each.found
        assert len(asked(handlers["held-out"], run, count=2)) == 2


@pytest.mark.slow
def test_a_prediction_tells_the_meaning_of_its_scores(text_recipe: str, do: Do, tmp_path: Path) -> None:
    _, _, run = do(text_recipe, "model.head=linear-svm", "phase.finetune.steps=2")
    handlers = make_handlers(RunModels(), tmp_path)
    text = "the film was very very good and fine and i found it lovely in a superb plot with it"
    found = asked(handlers["classify"], run, text=text, image=None)
    assert np.allclose(found.scores, saved_model.load(run.model_folder).predict([text])[0], atol=1e-6)
    assert found.meaning == "decision values"
    assert found.classes == ("negative", "positive")
    assert (found.tokens, found.length) == (19 + 2, 16)
    with pytest.raises(RunError, match="the text is empty"):
        asked(handlers["classify"], run, text=" ", image=None)


@pytest.mark.slow
def test_it_streams_what_keras_hub_generates(lm_recipe: str, do: Do, tmp_path: Path) -> None:
    _, _, run = do(without_samples(lm_recipe))
    handlers, lines = make_handlers(RunModels(), tmp_path), list[Any]()
    options: dict[str, Any] = {"prompt": "the cat", "tokens": 9, "temperature": 0.7, "top_k": 5, "seed": 4}
    report = asked(handlers["generate-trained"], run, lines, **options)
    pieces = [line["piece"] for line in lines if "piece" in line]
    assert "".join(pieces) == report.text
    assert len(pieces) > 1
    assert report.tokens == 9 or report.ended
    assert report.text == generated(saved_model.load(run.model_folder).causal_lm)
    base = asked(handlers["generate-base"], run, **options)
    assert base.text == generated(build.load_pretrained(recipe.load(run.recipe_file)).causal_lm)
    assert base.text != report.text
    with pytest.raises(RunError, match="'ftapp generate' continues prompts"):
        asked(handlers["explain-one"], run, text="the cat", image=None)

    def written(**changed: Any) -> str:
        return str(asked(handlers["generate-trained"], run, **options | changed).text)

    assert written(temperature=0.0) == written(temperature=0.0, seed=9)
    assert written() == report.text
    assert written(top_k=200, temperature=2.0) != written(top_k=200, temperature=2.0, seed=1)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"tokens": 0}, "at least 1 token"),
        ({"temperature": -1.0}, "temperature of 0 or above"),
        ({"prompt": "the cat " * 30}, "leaves no room"),
    ]
    for changed, message in wrong:
        with pytest.raises(RunError, match=message):
            written(**changed)


@pytest.mark.slow
def test_top_p_and_stop_words_limit_a_text(lm_recipe: str, do: Do, tmp_path: Path) -> None:
    _, _, run = do(without_samples(lm_recipe))
    handlers = make_handlers(RunModels(), tmp_path)
    options: dict[str, Any] = {"prompt": "the cat", "tokens": 9, "temperature": 0.7, "top_k": 5, "seed": 4}
    report = asked(handlers["generate-trained"], run, top_p=0.6, **options)
    sampler = keras_hub.samplers.TopPSampler(p=0.6, k=5, temperature=0.7, seed=4)
    assert report.text == generated(saved_model.load(run.model_folder).causal_lm, sampler)
    whole = asked(handlers["generate-trained"], run, **options)
    for word in (whole.text[:1], whole.text[1:3]):
        lines: list[Any] = []
        cut = asked(handlers["generate-trained"], run, lines, stop=["never", word], **options)
        assert cut.stopped
        assert not cut.ended
        assert cut.text == whole.text[: whole.text.index(word)]
        assert "".join(line.get("piece", "") for line in lines) == cut.text
    missed = asked(handlers["generate-trained"], run, stop=[f"{whole.text[:3]}?"], **options)
    assert (missed.text, missed.stopped) == (whole.text, False)
    for changed, message in (
        ({"top_p": 0.0}, "top-p is a probability"),
        ({"stop": [""]}, "a stop word has characters"),
    ):
        with pytest.raises(RunError, match=message):
            asked(handlers["generate-trained"], run, **options | changed)
    (tmp_path / "prompts.txt").write_text("the cat\n\n" + "the cat " * 30 + "\n")
    question = PredictQuestion(inputs=[(str(tmp_path / "prompts.txt"), "prompts.txt")])
    parts = [msgspec.to_builtins(each) for each in (question, Sampling(tokens=9, temperature=0.7, top_k=5, seed=4))]
    lines = []
    asked(handlers["generate-all"], run, lines, prompts=["the dog"], question=parts[0], options=parts[1])
    made = [msgspec.convert(line["written"], WrittenText) for line in lines if "written" in line]
    assert [each.prompt for each in made[:3]] == ["the dog", "the cat", ""]
    assert (made[1].text, made[1].end) == (whole.text, "end token" if whole.ended else "length")
    assert made[2].problem == "prompts.txt, line 2: the text is empty"
    assert "prompts.txt, line 3: this model reads" in made[3].problem


def generated(causal_lm: Any, sampler: Any = None) -> str:
    """The continuation that KerasHub's own generation draws with the options of the tests above."""
    causal_lm.compile(sampler=sampler or keras_hub.samplers.TopKSampler(k=5, temperature=0.7, seed=4))
    mask = causal_lm.preprocessor.generate_preprocess(["the cat"], sequence_length=32)["padding_mask"]
    return str(causal_lm.generate(["the cat"], max_length=int(np.asarray(mask).sum()) + 9)[0]).removeprefix("the cat")


def test_characters_come_whole(tiny: Tiny) -> None:
    """The tiny model knows bytes; told in any pieces, a character of three bytes comes in one."""
    causal_lm = keras_hub.models.CausalLM.from_preset(str(tiny.gpt2))
    ids = np.asarray(causal_lm.preprocessor.tokenizer("a東é🙂z"))
    pieces: list[str] = []

    def scripted(inputs: Any, stop_token_ids: Any) -> None:
        for token in ids:
            causal_lm.sampler._report(int(token))

    causal_lm.generate_step = scripted
    made = generation.stream(causal_lm, "the", pieces.append, tokens=20, temperature=1.0, top_k=1, seed=0)
    assert [piece for piece in pieces if piece] == ["a", "東", "é", "🙂", "z"]
    assert made.text == "a東é🙂z"
    # Bytes that never make a character are told at the end.
    ids, pieces = ids[:2], []
    made = generation.stream(causal_lm, "the", pieces.append, tokens=20, temperature=1.0, top_k=1, seed=0)
    assert "".join(pieces) == made.text
    assert made.text.startswith("a")
    assert len(made.text) > 1


def test_a_run_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="once its run has saved it"):
        asked(make_handlers(RunModels(), tmp_path)["load"], RunFolder(tmp_path))


@pytest.mark.slow
def test_in_its_own_process(lm_recipe: str, do: Do, tmp_path: Path) -> None:
    """Both models write at once; a text that nobody wants any more ends early, and the next one comes."""
    _, _, run = do(without_samples(lm_recipe))
    client = PredictorClient(recipe.load(run.recipe_file), run.folder)

    async def written(**options: Any) -> tuple[list[str], Generated]:
        pieces: list[str] = []
        async for each in client.generate("the", Sampling(tokens=6), **options):
            if isinstance(each, Generated):
                return pieces, each
            pieces.append(each)
        raise AssertionError("no end")

    async def ask() -> None:
        ready = await client.load()
        assert (ready.task, ready.no_base) == ("causal-lm", None)
        for pieces, made in await asyncio.gather(written(), written(model="base")):
            assert "".join(pieces) == made.text
        endless = client.generate("the", Sampling(tokens=20, temperature=2.0, top_k=250))
        assert isinstance(await anext(endless), str)
        await endless.aclose()
        pieces, made = await written()
        assert "".join(pieces) == made.text
        with pytest.raises(RunError, match="does not classify"):
            await client.classify(text="the")
        await client.close()

    asyncio.run(asyncio.wait_for(ask(), 300))
    weights = run.model_folder / "model.keras"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RunError, match=r"'model\.keras' in .* is damaged"):
        asked(make_handlers(RunModels(), tmp_path)["load"], run)
