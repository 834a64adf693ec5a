"""Folders of images and data sets of TFDS: every kind of image, and what is said about files that are none."""

from __future__ import annotations

import io
import os
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
from ftapp.common.errors import RecipeError, RunError
from ftapp.data import folder, images
from ftapp.recipe import Data, sources

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
    found = problems(tmp_path)
    assert f"{tmp_path}: data.source: 2 files: test, val: 'c' is missing, and each split has every class" in found[0]
    assert found[0].endswith("folder away from train")


def test_splits_that_are_the_same_are_refused_with_what_they_share(tmp_path: Path) -> None:
    for number in range(8):
        for part in ("train", "test"):
            write(tmp_path / part / "ab"[number % 2] / f"{number}.png", noise(number))
    found = problems(tmp_path)
    assert len(found) == 1
    assert "without duplicates, 'a' has 0, 'b' has 0" in found[0]
    assert found[0].endswith("8 of 8 training examples are in a held-out split too")


def test_the_check_of_images_counts_images(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", noise(number))
    told: list[tuple[str, int, int | None]] = []
    data.load(spec(f"folder:{tmp_path}"), "image-classification", 0, lambda *each: told.append(each))
    assert told[-1] == ("checking images", 6, 6)


def test_classes_are_named_by_emoji_and_scripts_with_joiners(tmp_path: Path) -> None:
    names = ("\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
    for number in range(20):
        write(tmp_path / names[number % 2] / f"{number}.png", noise(number))
    assert set(data.load(spec(f"folder:{tmp_path}"), "image-classification", 0).classes) == set(names)


def test_a_missing_file_is_not_one_of_another_kind(tmp_path: Path) -> None:
    for name in (".rel.csv", "rel.sh", "reviews.csv"):
        (tmp_path / name).write_text("text,label\n")
    with pytest.raises(ValueError, match=r"there is no file '.*rel\.csv'; (choose from|did you mean) 'reviews\.csv'"):
        sources.resolve(f"csv:{tmp_path}/rel.csv")


def test_problems_of_a_folder(pets: Path, tmp_path: Path) -> None:
    whole = (pets / "cat" / "01.png").read_bytes()
    (pets / "cat" / "short.png").write_bytes(whole[:-40])
    (pets / "cat" / "empty.jpg").write_bytes(b"")
    (pets / "dog" / "page.jpeg").write_text("<html>")
    (pets / "dog" / "lost.heic").write_bytes(b"\0\0\0\x20ftypheic")
    found = problems(pets)
    assert len(found) == 4
    for problem, name, message in zip(
        sorted(found),
        ("cat/empty.jpg", "cat/short.png", "dog/lost.heic", "dog/page.jpeg"),
        ("it is empty", "it is corrupt or cut short", "no image of a kind that is read", "it holds a web page"),
        strict=True,
    ):
        assert problem.startswith(f"{pets}/{name}: data.source: ")
        assert message in problem


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.99])
def test_a_truncated_photograph_is_found(pets: Path, cut: float) -> None:
    whole = encoded(Image.fromarray(noise(0, (200, 200))), "JPEG", quality=90)
    (pets / "cat" / "photo.jpg").write_bytes(whole[: int(len(whole) * cut)])
    assert "photo.jpg: data.source: this image cannot be decoded: it is corrupt or cut short: " in problems(pets)[0]


def test_problems_of_classes(pets: Path) -> None:
    assert "'cats', which has no folder; did you mean 'cat'?" in problems(pets, classes=["cats", "dog"])[-1]
    (pets / "bird").mkdir()
    assert "bird: data.source: this folder has no images; a class has some" in problems(pets)[0]
    write(pets / "stray.png", noise(7))
    assert "stray.png: data.source: this image lies in pets itself; each is in the folder of its" in problems(pets)[0]
    one = pets / "cat"
    assert "there is no folder in it, and a folder of images has a folder for each" in problems(one.parent / "bird")[0]


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("F", 1.0, "TIFF", WHITE),
        ("F", 100.0, "TIFF", [100] * 3),
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
    assert (
        "huge.png: data.source: this image cannot be decoded: it has more than 178,956,970 pixels" in problems(pets)[0]
    )


def exif(entries: list[tuple[int, int, int, bytes]]) -> bytes:
    """An EXIF block of (tag, type, count, value) as cameras and other programs write them, also wrongly."""
    fields = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0")[:4] for entry in entries)
    return b"Exif\0\0II" + struct.pack("<HIH", 42, 8, len(entries)) + fields + b"\0" * 4


@pytest.mark.parametrize(
    ("block", "turned"),
    [
        (exif([(0x112, 3, 1, b"\6\0"), (0x11A, 2, 4, b"72\0\0"), (0xA002, 3, 1, b"\7\0")]), True),
        (exif([(0x112, 3, 1, b"\6\0"), (0x8769, 4, 1, b"\xff\xff\0\0"), (0x8825, 4, 1, b"\x32\0\0\0")]), True),
        (exif([(0x112, 2, 2, b"6\0")]), False),
        (exif([(0x112, 3, 1, b"\0\0")]), False),
        (exif([(0x112, 3, 1, b"\6\0")])[:-9], False),
        (b"Exif\0\0garbage garbage", False),
        (b"Exif\0\0", False),
    ],
)
def test_odd_exif_fields_leave_the_picture_readable(pets: Path, block: bytes, turned: bool) -> None:
    for number in range(2):
        (pets / "cat" / f"{number}.jpg").write_bytes(
            encoded(Image.fromarray(noise(30 + number, (8, 24))), "JPEG", exif=block)
        )
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    shapes = {
        part[position].shape  # type: ignore[union-attr]
        for part in (splits.train, splits.validation, splits.test)
        for position in range(len(part))
    }
    assert shapes == {(6, 9, 3), (24, 8, 3) if turned else (8, 24, 3)}


def test_kinds_of_files_by_content_and_notes_beside_them(pets: Path) -> None:
    image = Image.fromarray(noise(50))
    for name, kind in (("a.jfif", "JPEG"), ("b.TIF", "TIFF"), ("c.ppm", "PPM"), ("wrong.jpg", "PNG"), ("none", "BMP")):
        (pets / "cat" / name).write_bytes(encoded(Image.fromarray(noise(60 + len(name) + ord(name[0]))), kind))
    (pets / "cat" / "a.xml").write_text("<annotation/>")
    (pets / "cat" / "folder.jpg").mkdir()
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 25
    assert splits.notes == ("1 file in class folders ignored, no images: a.xml",)
    (pets / "cat" / "d.eps").write_bytes(encoded(image, "EPS"))
    assert "d.eps: data.source: this is no image of a kind that is read, which are JPEG, PNG" in problems(pets)[0]


def test_images_are_equal_by_their_pixels(pets: Path) -> None:
    photo = Image.fromarray(noise(70, (64, 64)))
    (pets / "cat" / "p1.jpg").write_bytes(encoded(photo, "JPEG", quality=90))
    (pets / "cat" / "p2.jpg").write_bytes(encoded(photo, "JPEG", quality=90, comment=b"other bytes, equal pixels"))
    (pets / "cat" / "p3.jpg").write_bytes(encoded(photo, "JPEG", quality=90, exif=exif([(0x112, 3, 1, b"\6\0")])))
    checkered = np.indices((64, 64, 3))[:2].sum(0) % 2 * 255  # an eighth of each is the same grey
    for number, pixels in enumerate((checkered, 255 - checkered)):
        write(pets / "dog" / f"q{number}.jpg", pixels.astype(np.uint8), quality=100, subsampling=0)
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    assert splits.duplicates == 1
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 24


def test_links_are_followed_unless_they_lead_nowhere(pets: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    (linked / "dog").mkdir(parents=True)
    (linked / "cat").symlink_to(pets / "cat")
    for path in (pets / "dog").iterdir():
        (linked / "dog" / path.name).symlink_to(path)
    splits = data.load(spec(f"folder:{linked}"), "image-classification", 0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 4]
    (linked / "dog" / "gone.png").symlink_to("gone-before.png")
    (linked / "dog" / "self.png").symlink_to("self.png")
    (linked / "dog" / "up").symlink_to("..")
    os.mkfifo(linked / "dog" / "pipe.png")
    found = sorted(problems(linked))
    assert [problem.partition("dog/")[2] for problem in found] == [
        "gone.png: data.source: this link leads to 'gone-before.png', which does not exist; remove it, or bring back "
        "its target",
        "pipe.png: data.source: this is a pipe or a device and no file; remove it",
        "self.png: data.source: this link leads to itself; remove it",
        "up: data.source: this link leads back to a folder that it lies in; remove it",
    ]
    for name, target in (("bird", "nowhere"), ("fish", "fish"), ("all", ".")):
        (linked / name).symlink_to(target)
    assert [problem.partition("linked/")[2][:40] for problem in sorted(problems(linked))] == [
        "all: data.source: this link leads back t",
        "bird: data.source: this link leads to 'n",
        "fish: data.source: this link leads to it",
    ]
    split = tmp_path / "split"
    (split / "train").mkdir(parents=True)
    for name in ("cat", "dog"):
        (split / "train" / name).symlink_to(pets / name)
    (split / "val").symlink_to("lost")
    assert "split/val: data.source: this link leads to 'lost'" in problems(split)[0]


def test_class_folders_that_look_alike_are_refused_or_merged(tmp_path: Path) -> None:
    for number in range(24):
        kind = ("Cat", "cat", "dog")[number % 3]
        write(tmp_path / "pets" / kind / f"{number}.png", noise(number))
    pets = tmp_path / "pets"
    assert problems(pets) == [
        f"{pets}: data.classes: 'Cat' (8) and 'cat' (8) differ only in letter case; labels that look alike are one "
        "class or named apart; to merge them, --set data.merge_labels=true; to keep them apart, "
        """--set 'data.classes=["Cat", "cat", "dog"]'"""
    ]
    splits = data.load(spec(f"folder:{pets}", merge_labels=True), "image-classification", 0)
    assert (splits.classes, splits.notes) == (("cat", "dog"), ("folders merged: Cat as cat",))
    assert np.bincount(splits.train.labels).tolist() == [12, 5]
    (pets / "Cat").rename(pets / "unlabeled")
    assert "'unlabeled' stands for a missing label, and is no class; to leave these images out" in problems(pets)[0]
    (pets / "unlabeled").rename(pets / "bird")
    names = ["a bird", "a cat", "a dog"]
    for number, name in enumerate(("bird", "cat", "dog")):
        (pets / name).rename(pets / str(number + 1))
    splits = data.load(spec(f"folder:{pets}", classes=names), "image-classification", 0)
    assert splits.classes == tuple(names)
    assert splits.notes == ("labels are numbers: 1 = a bird, 2 = a cat, 3 = a dog",)


def test_what_may_not_be_read_is_called_so(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert problems(pets) == [
        f"{pets}: data.source: 20 files: cat/01.png, cat/03.png, cat/05.png and 17 more: this image cannot be decoded: "
        "it cannot be read: Permission denied"
    ]


def test_an_image_that_is_lost_after_the_check_is_named(pets: Path) -> None:
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    (pets / "cat" / "03.png").unlink()
    with pytest.raises(RunError, match=r"the image .*/cat/03\.png was whole when it was checked"):
        list(map(splits.train.examples.__getitem__, range(20)))


def test_names_that_are_no_utf8_are_read_or_named_in_escapes(pets: Path) -> None:
    (pets / "cat" / "01.png").rename(os.fsdecode(os.fsencode(pets / "cat") + b"/im\xe9.png"))
    assert len(data.load(spec(f"folder:{pets}"), "image-classification", 0).train) == 14
    Path(os.fsdecode(os.fsencode(pets / "cat") + b"/im\xe8.png")).write_bytes(b"")
    assert problems(pets)[0].startswith(f"{pets}/cat/im\\xe8.png: data.source: ")
    (pets / "dog").rename(pets / "do\n\x1b[31mg")
    (pets / "cat").rename(os.fsdecode(os.fsencode(pets) + b"/caf\xe9"))
    assert problems(pets) == [
        f"{pets}: data.source: 2 files: caf\\xe9, do\\n\\x1b[31mg: a class is named in one line of UTF-8 text; rename "
        "this folder"
    ]


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


def test_class_folders_that_look_alike_are_merged_or_named_apart(pets: Path) -> None:
    for number in range(4):
        write(pets / "Cat" / f"{number}.png", noise(100 + number))
    (message,) = problems(pets)
    assert "'cat' (10) and 'Cat' (4) differ only in letter case" in message
    merged = data.load(spec(f"folder:{pets}", merge_labels=True), "image-classification", 0)
    assert merged.classes == ("cat", "dog")
    assert np.sum(list(merged.counts.values()), axis=0).tolist() == [14, 10]
    assert merged.notes == ("folders merged: Cat as cat",)
    names = ["cat", "Cat", "dog"]
    apart = data.load(spec(f"folder:{pets}", classes=names), "image-classification", 0)
    assert np.sum(list(apart.counts.values()), axis=0).tolist() == [10, 4, 10]
    with pytest.raises(RecipeError, match="differ only in letter case"):
        data.load(spec(f"folder:{pets}", classes=["cat", "dog"]), "image-classification", 0)


def test_class_folders_that_are_numbers_have_names_in_the_recipe(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / str(1 + number % 2) / f"{number:02}.png", noise(number))
    splits = data.load(spec(f"folder:{tmp_path}", classes=["cat", "dog"]), "image-classification", 0)
    assert splits.classes == ("cat", "dog")
    assert splits.notes == ("labels are numbers: 1 = cat, 2 = dog",)


def test_the_check_before_a_run_reads_no_image(pets: Path) -> None:
    source = sources.parse(f"folder:{pets}")
    (pets / "cat" / "broken.png").write_bytes(b"no image")
    folder.check(spec(f"folder:{pets}"), source)
    (pets / "cat" / "film.mp4").write_bytes(b"no image")
    with pytest.raises(RecipeError, match=r"film\.mp4: data\.source: this is no image"):
        folder.check(spec(f"folder:{pets}"), source)
