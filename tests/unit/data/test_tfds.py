"""Data sets of tensorflow-datasets that are prepared on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftapp import data
from ftapp.common.errors import RecipeError, RunError
from tests.support.images import spec


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one data set in each of two formats, written by TFDS, which then knows it from the disk alone."""
    import tensorflow_datasets as tfds

    def examples(count: int, offset: int) -> Iterator[tuple[int, dict[str, object]]]:
        for number in range(count):
            shade = 10 * number + offset
            image = np.full((4, 5, 3), shade, np.uint8)
            yield number, {"image": image, "text": f"shade {shade}<br />", "label": number % 2}

    class TinyPets(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[misc, call-arg]
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "text": tfds.features.Text(),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager: Any) -> Any:
            return {"training": examples(20, 0), "holdout": examples(6, 1), "extra": examples(3, 2)}

        def _generate_examples(self) -> None:
            """Required by the base class; the splits above are generators already."""

    folder = tmp_path_factory.mktemp("tfds")
    for file_format in ("array_record", "tfrecord"):
        TinyPets(data_dir=folder / file_format, file_format=file_format).download_and_prepare()
    return folder


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_a_prepared_data_set(prepared: Path, file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / file_format))
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    splits = data.load(spec("tfds:tiny_pets"), "image-classification", 0)
    assert (splits.classes, splits.notes) == (("cat", "dog"), ("splits left out: extra",))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [18, 2, 6]
    for part, rest in ((splits.train, 0), (splits.validation, 0), (splits.test, 1)):
        for position in range(len(part)):
            image = part[position]
            assert isinstance(image, np.ndarray)
            assert image.shape == (4, 5, 3)
            assert image[0, 0, 0] % 10 == rest
            assert image[0, 0, 0] // 10 % 2 == part.labels[position]
    texts = data.load(spec("tfds:tiny_pets:1.0.0", test=4, classes=["dog", "cat"]), "text-classification", 0)
    assert texts.classes == ("dog", "cat")
    assert len(texts.test) == 4
    assert all(int(str(texts.test[position])[6:]) // 10 % 2 == 1 - texts.test.labels[position] for position in range(4))
    documents = data.load_documents(spec("tfds:tiny_pets"), 0)
    assert sorted(documents.test) == sorted(f"shade {10 * number + 1} " for number in range(6))


def test_data_sets_that_cannot_be_had(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / "array_record"))
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    with pytest.raises(RunError, match=r"tfds:mnist is not prepared in .* with --offline"):
        data.load(spec("tfds:mnist"), "image-classification", 0)
    with pytest.raises(RecipeError, match=r"has no 'tiny_pet'; .*; did you mean 'tiny_pets'"):
        data.load(spec("tfds:tiny_pet"), "image-classification", 0)
    with pytest.raises(RecipeError, match=r"only: 3\.0\.1"):
        data.load(spec("tfds:mnist:1.0.0"), "image-classification", 0)
    monkeypatch.setenv("FTAPP_OFFLINE", "0")
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
        monkeypatch.setenv(variable.upper(), "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(RunError, match=r"tfds:cifar10 comes from .*, which cannot be reached") as caught:
        data.load(spec("tfds:cifar10"), "image-classification", 0)
    assert "\n" not in str(caught.value)


def test_a_data_set_without_what_the_task_needs(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / "array_record"))
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    assert len(data.load(spec("tfds:tiny_pets", text_column="review"), "text-classification", 0).train) == 18
    with pytest.raises(RecipeError, match=r"data\.classes: 'dog', a class of the source, is missing"):
        data.load(spec("tfds:tiny_pets", classes=["cat", "bird"]), "image-classification", 0)
