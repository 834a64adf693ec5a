"""Image files of every kind are read as RGB, and those that cannot be are named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftapp import data
from ftapp.data import images
from tests.support.images import RED, WHITE, encoded, exif, noise, png, problems, spec, write


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.99])
def test_a_truncated_photograph_is_found(pets: Path, cut: float) -> None:
    whole = encoded(Image.fromarray(noise(0, (200, 200))), "JPEG", quality=90)
    (pets / "cat" / "photo.jpg").write_bytes(whole[: int(len(whole) * cut)])
    assert "photo.jpg: data.source: this image cannot be decoded: it is corrupt or cut short: " in problems(pets)[0]


def test_broken_images_are_left_out_and_named_where_the_recipe_says_so(pets: Path) -> None:
    (pets / "cat" / "21.png").write_bytes(b"")
    (pets / "cat" / "more").mkdir()
    (pets / "cat" / "more" / "22.png").write_bytes((pets / "dog" / "02.png").read_bytes()[:200])
    assert problems(pets)[0].endswith("of 0 bytes; to leave such images out, --set data.skip_broken=true")
    splits = data.load(spec(f"folder:{pets}", skip_broken=True), "image-classification", 0)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 20
    assert splits.notes == ("2 images left out that cannot be decoded: cat/21.png, more/22.png",)


def test_a_class_of_broken_images_alone_is_refused(pets: Path) -> None:
    for path in (pets / "cat").iterdir():
        path.write_bytes(b"")
    assert problems(pets, skip_broken=True) == [
        f"{pets}/cat: data.source: none of the images of this class can be decoded; a class has some"
    ]


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
    pixels = images.decode(encoded(Image.new(mode, (5, 4), colour), kind))  # type: ignore[arg-type]
    assert (pixels.shape, str(pixels.dtype)) == ((4, 5, 3), "uint8")
    assert pixels[2, 2].tolist() == expected


def test_palette_images_and_animations() -> None:
    palette = Image.new("RGB", (4, 4), (255, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert images.decode(encoded(palette, "PNG"))[0, 0].tolist() == RED
    assert images.decode(encoded(palette, "PNG", transparency=palette.getpixel((0, 0))))[0, 0].tolist() == WHITE
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert images.decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))[0, 0].tolist() == RED


def test_sixteen_bit_colour_keeps_its_upper_bits() -> None:
    row = b"\0" + struct.pack(">HHH", 0xFFFF, 0x8000, 0)
    assert images.decode(png(1, 1, 16, 2, row))[0, 0].tolist() == [255, 128, 0]


def test_photographs_are_turned_upright() -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture has to be turned a quarter to the right
    upright = images.decode(encoded(Image.fromarray(pixels), "JPEG", exif=exif))
    assert upright.shape == (80, 40, 3)
    assert upright[:30].min() > 200
    assert upright[50:].max() < 50


@pytest.mark.parametrize(
    ("at_least", "shape"),
    [(None, (300, 400)), (301, (300, 400)), (150, (150, 200)), (76, (150, 200)), (75, (75, 100)), (1, (38, 50))],
)
def test_a_large_photograph_is_decoded_at_a_fraction_that_has_the_pixels(
    at_least: int | None, shape: tuple[int, int]
) -> None:
    pixels = np.full((300, 400, 3), 200, np.uint8)
    assert images.decode(encoded(Image.fromarray(pixels), "JPEG"), at_least).shape == (*shape, 3)
    assert images.decode(encoded(Image.fromarray(pixels), "PNG"), at_least).shape == (300, 400, 3)


def test_a_fraction_shows_the_same_picture() -> None:
    rows = np.linspace(0, 255, 320)[:, None, None]
    pixels = np.broadcast_to(rows, (320, 480, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph = encoded(Image.fromarray(pixels), "JPEG", exif=exif)
    whole, part = images.decode(photograph), images.decode(photograph, at_least=40)
    assert part.shape == (60, 40, 3)
    means = whole.reshape(60, 8, 40, 8, 3).mean(axis=(1, 3))
    assert np.abs(means - part).max() < 4


def test_a_file_that_is_larger_than_any_picture_is_a_problem(pets: Path) -> None:
    with (pets / "cat" / "disk.png").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    assert "disk.png: data.source: this image cannot be decoded: it has 1.0 TiB, and files of" in problems(pets)[0]


def test_a_picture_of_far_too_many_pixels_is_a_problem(pets: Path) -> None:
    (pets / "cat" / "huge.png").write_bytes(png(20_000, 20_000, 8, 2, b""))
    assert (
        "huge.png: data.source: this image cannot be decoded: it has more than 178,956,970 pixels" in problems(pets)[0]
    )


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
    assert "d.eps: data.source: this is no image of a kind that is read; these kinds are JPEG, PNG" in problems(pets)[0]


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
