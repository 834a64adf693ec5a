"""Folders of images and data sets of TFDS: every kind of image, and what is said about files that are none."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ftapp import data
from ftapp.data import images
from ftapp.errors import RecipeError, RunError
from ftapp.recipe import Data

RED, WHITE = [255, 0, 0], [255, 255, 255]


def spec(source: object, **keys: object) -> Data:
    return Data.model_validate({"source": str(source), **keys})


def noise(seed: int, size: tuple[int, int] = (6, 9)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def write(path: Path, pixels: NDArray[np.uint8], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Ten PNG images of each of two classes."""
    for number in range(20):
        write(tmp_path / "pets" / ("cat" if number % 2 else "dog") / f"{number:02}.png", noise(number))
    return tmp_path / "pets"


def problems(folder: Path, **keys: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        data.load(spec(f"folder:{folder}", **keys), "image-classification", 0)
    return [str(problem) for problem in caught.value.problems]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_folder_of_classes(pets: Path) -> None:
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    assert splits.classes == ("cat", "dog")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 4]
    for part in (splits.train, splits.test):
        for position in range(len(part)):
            source = splits.train.examples.paths[part.indices[position]]  # type: ignore[attr-defined]
            assert source.parent.name == splits.classes[part.labels[position]]
            np.testing.assert_array_equal(part[position], noise(int(source.stem)))
    assert data.load(spec(f"folder:{pets}", classes=["dog", "cat"]), "image-classification", 0).classes == (
        "dog",
        "cat",
    )


def test_equal_files_are_dropped_and_debris_is_ignored(pets: Path) -> None:
    (pets / "cat" / "copy.png").write_bytes((pets / "cat" / "01.png").read_bytes())
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (pets / "cat" / name).write_bytes(b"debris")
    (pets / ".cache").mkdir()
    (pets / "README.txt").write_text("about these pictures")
    assert data.load(spec(f"folder:{pets}"), "image-classification", 0).duplicates == 1


def test_given_splits(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / ("test" if number < 6 else "train") / "ab"[number % 2] / f"{number}.png", noise(number))
    (tmp_path / "train" / "a" / "leak.png").write_bytes((tmp_path / "test" / "a" / "0.png").read_bytes())
    splits = data.load(spec(f"folder:{tmp_path}"), "image-classification", 0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [13, 1, 6]
    assert (splits.classes, splits.duplicates) == (("a", "b"), 1)
    for number in range(20, 24):
        write(tmp_path / "val" / "ab"[number % 2] / f"{number}.png", noise(number))
    splits = data.load(spec(f"folder:{tmp_path}"), "image-classification", 0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 4, 6]
    write(tmp_path / "train" / "c" / "c.png", noise(99))
    assert any("each split has every class, and 'c' is missing" in problem for problem in problems(tmp_path))


def test_problems_of_a_folder(pets: Path, tmp_path: Path) -> None:
    whole = (pets / "cat" / "01.png").read_bytes()
    (pets / "cat" / "short.png").write_bytes(whole[:-40])
    (pets / "cat" / "empty.jpg").write_bytes(b"")
    (pets / "dog" / "page.jpeg").write_text("<html>")
    (pets / "dog" / "notes.txt").write_text("a dog")
    found = problems(pets)
    assert len(found) == 4
    for problem, name in zip(
        sorted(found), ("cat/empty.jpg", "cat/short.png", "dog/notes.txt", "dog/page.jpeg"), strict=True
    ):
        assert problem.startswith(f"{pets}/{name}: data.source: ")


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.99])
def test_a_truncated_photograph_is_found(pets: Path, cut: float) -> None:
    whole = encoded(Image.fromarray(noise(0, (200, 200))), "JPEG", quality=90)
    (pets / "cat" / "photo.jpg").write_bytes(whole[: int(len(whole) * cut)])
    assert "photo.jpg: data.source: an image can be decoded to its end; " in problems(pets)[0]


def test_problems_of_classes(pets: Path) -> None:
    assert "cats' has none; did you mean 'cat'?" in problems(pets, classes=["cats", "dog"])[-1]
    (pets / "bird").mkdir()
    assert "bird: data.source: a class has images; this folder has none" in problems(pets)[0]
    write(pets / "stray.png", noise(7))
    assert "stray.png: data.source: an image is in the sub-folder of its class" in problems(pets)[0]
    one = pets / "cat"
    assert "a sub-folder for each class, at least two; got none" in problems(one.parent / "bird")[0]


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("RGB", (255, 0, 0), "PNG", RED),
        ("RGB", (255, 0, 0), "BMP", RED),
        ("RGB", (255, 255, 255), "WEBP", WHITE),
        ("L", 100, "PNG", [100] * 3),
        ("L", 100, "JPEG", [100] * 3),
        ("1", 1, "PNG", WHITE),
        ("I;16", 100 * 256, "PNG", [100] * 3),
        ("LA", (100, 255), "PNG", [100] * 3),
        ("LA", (100, 0), "PNG", WHITE),
        ("RGBA", (255, 0, 0, 255), "PNG", RED),
        ("RGBA", (255, 0, 0, 0), "PNG", WHITE),
        ("RGBA", (255, 0, 0, 51), "PNG", [255, 204, 204]),
        ("CMYK", (0, 0, 0, 0), "JPEG", WHITE),
    ],
)
def test_every_kind_becomes_rgb(mode: str, colour: object, kind: str, expected: list[int]) -> None:
    pixels = images.rgb(encoded(Image.new(mode, (5, 4), colour), kind))  # type: ignore[arg-type]
    assert (pixels.shape, str(pixels.dtype)) == ((4, 5, 3), "uint8")
    assert pixels[2, 2].tolist() == expected


def test_palette_images_and_animations() -> None:
    palette = Image.new("RGB", (4, 4), (255, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert images.rgb(encoded(palette, "PNG"))[0, 0].tolist() == RED
    assert images.rgb(encoded(palette, "PNG", transparency=palette.getpixel((0, 0))))[0, 0].tolist() == WHITE
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert images.rgb(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))[0, 0].tolist() == RED


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG file made by hand, of kinds that PIL does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_sixteen_bit_colour_keeps_its_upper_bits() -> None:
    row = b"\0" + struct.pack(">HHH", 0xFFFF, 0x8000, 0)
    assert images.rgb(png(1, 1, 16, 2, row))[0, 0].tolist() == [255, 128, 0]


def test_photographs_are_turned_upright() -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture has to be turned a quarter to the right
    upright = images.rgb(encoded(Image.fromarray(pixels), "JPEG", exif=exif))
    assert upright.shape == (80, 40, 3)
    assert upright[:30].min() > 200
    assert upright[50:].max() < 50


def test_a_picture_of_far_too_many_pixels_is_a_problem(pets: Path) -> None:
    (pets / "cat" / "huge.png").write_bytes(png(20_000, 20_000, 8, 2, b""))
    assert "huge.png: data.source: an image can be decoded" in problems(pets)[0]


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
            return {"train": examples(20, 0), "test": examples(6, 1)}

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
    assert splits.classes == ("cat", "dog")
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
    documents = data.documents(spec("tfds:tiny_pets"), 0)
    assert sorted(documents.test) == sorted(f"shade {10 * number + 1} " for number in range(6))


def test_data_sets_that_cannot_be_had(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / "array_record"))
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    with pytest.raises(RunError, match=r"with --offline .* tfds:mnist is not prepared"):
        data.load(spec("tfds:mnist"), "image-classification", 0)
    with pytest.raises(RecipeError, match="has no 'tiny_pet'; did you mean 'tiny_pets'"):
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
    with pytest.raises(RecipeError, match=r"data\.classes: .* 'dog' is missing"):
        data.load(spec("tfds:tiny_pets", classes=["cat", "bird"]), "image-classification", 0)
