"""Files that begin alike are decoded without reading their headers again: their images and problems stay the same."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ftapp.data import image_headers, images
from tests.support.images import encoded, exif, noise, png

_SIDES = (16, 16)

Outcome = tuple[str, tuple[int, int], bytes] | str
"""The mode, the size and the pixels of an image, or why there is none."""


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_headers, "_known", {})


def load(content: bytes, at_least: int | None = None) -> Outcome:
    try:
        image = images.load(content, at_least)
    except images.BrokenImageError as error:
        return str(error)
    return image.mode, image.size, image.tobytes()


def load_by_pillow(content: bytes, at_least: int | None = None) -> Outcome:
    """Load an image as if it were the first of its header."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_headers, "_known", {})
        return load(content, at_least)


def draw(mode: str, seed: int, size: tuple[int, int] = _SIDES) -> Image.Image:
    return Image.fromarray(noise(seed, size)).convert(mode)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def text(key: str, value: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text(key, value)
    return info


def sixteen_bits(seed: int) -> bytes:
    rows = np.random.default_rng(seed).integers(0, 256, (5, 4 * 6), np.uint8)
    return png(4, 5, 16, 2, b"".join(b"\0" + row.tobytes() for row in rows))


def animated(seed: int, kind: str) -> bytes:
    return encoded(draw("RGB", seed), kind, save_all=True, append_images=[draw("RGB", seed + 1)])


def interlaced(seed: int) -> bytes:
    """A PNG file of 8 x 8 grey pixels in the seven passes of Adam7."""
    values = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    steps = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
    rows = b"".join(b"\0" + row.tobytes() for top, down, left, right in steps for row in values[top::down, left::right])
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def move_behind(content: bytes, name: bytes) -> bytes:
    """Move a chunk of a PNG file behind its pixels."""
    at = content.index(name) - 4
    end = at + 12 + int.from_bytes(content[at : at + 4])
    return content[:at] + content[end:-12] + content[at:end] + content[-12:]


def animate_one(content: bytes) -> bytes:
    """Make a PNG file an animation of one picture."""
    frame = chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(
        b"fcTL", struct.pack(">IIIIIHHBB", 0, *_SIDES, 0, 0, 1, 1, 0, 0)
    )
    at = content.index(b"IDAT") - 4
    return content[:at] + frame + content[at:]


def profile() -> bytes:
    return encoded(draw("RGB", 0), "JPEG")[:300]


PLAIN: dict[str, Callable[[int], bytes]] = {
    "png": lambda seed: encoded(draw("RGB", seed), "PNG"),
    "grey png": lambda seed: encoded(draw("L", seed), "PNG"),
    "png with transparency": lambda seed: encoded(draw("RGBA", seed), "PNG"),
    "grey png with transparency": lambda seed: encoded(draw("LA", seed), "PNG"),
    "png of one pixel": lambda seed: encoded(draw("RGB", seed, (1, 1)), "PNG"),
    "png of 16 bits": sixteen_bits,
    "png with a text": lambda seed: encoded(draw("RGB", seed), "PNG", pnginfo=text("Software", "a program")),
    "png with a profile": lambda seed: encoded(draw("RGB", seed), "PNG", icc_profile=profile(), dpi=(72, 72)),
    "jpeg": lambda seed: encoded(draw("RGB", seed), "JPEG"),
    "grey jpeg": lambda seed: encoded(draw("L", seed), "JPEG"),
    "jpeg without subsampling": lambda seed: encoded(draw("RGB", seed), "JPEG", subsampling=0, quality=100),
    "jpeg of odd sides": lambda seed: encoded(draw("RGB", seed, (37, 61)), "JPEG"),
    "jpeg with a comment": lambda seed: encoded(draw("RGB", seed), "JPEG", comment=b"a comment", dpi=(300, 300)),
    "jpeg with a profile": lambda seed: encoded(draw("RGB", seed), "JPEG", icc_profile=b"0123456789"),
    "jpeg of RGB": lambda seed: encoded(draw("RGB", seed), "JPEG", keep_rgb=True),
}
"""Files that Pillow need not read as a whole where it has read one of the same kind."""

ODD: dict[str, Callable[[int], bytes]] = {
    "palette": lambda seed: encoded(draw("P", seed), "PNG"),
    "palette with transparency": lambda seed: encoded(draw("P", seed), "PNG", transparency=3),
    "one bit": lambda seed: encoded(draw("1", seed), "PNG"),
    "grey of 16 bits": lambda seed: encoded(Image.fromarray(noise(seed)[:, :, 0].astype(np.uint16) * 256), "PNG"),
    "transparent colour": lambda seed: encoded(draw("RGB", seed), "PNG", transparency=(1, 2, 3)),
    "interlaced": interlaced,
    "animated png": lambda seed: animated(seed, "PNG"),
    "animated png of one picture": lambda seed: animate_one(encoded(draw("RGB", seed), "PNG")),
    "png turned by exif": lambda seed: encoded(draw("RGB", seed, (8, 24)), "PNG", exif=exif([(0x112, 3, 1, b"\6\0")])),
    "png turned behind its pixels": lambda seed: move_behind(
        encoded(draw("RGB", seed, (8, 24)), "PNG", exif=exif([(0x112, 3, 1, b"\6\0")])), b"eXIf"
    ),
    "png transparent behind its pixels": lambda seed: move_behind(
        encoded(draw("RGB", seed), "PNG", transparency=(1, 2, 3)), b"tRNS"
    ),
    "png whose text looks like pixels": lambda seed: encoded(draw("RGB", seed), "PNG", pnginfo=text("A", "IDAT")),
    "large png": lambda seed: encoded(draw("RGB", seed, (200, 200)), "PNG"),
    "jpeg turned by exif": lambda seed: encoded(
        draw("RGB", seed, (8, 24)), "JPEG", exif=exif([(0x112, 3, 1, b"\6\0")])
    ),
    "jpeg with broken exif": lambda seed: encoded(draw("RGB", seed), "JPEG", exif=b"Exif\0\0garbage"),
    "large jpeg": lambda seed: encoded(draw("RGB", seed, (300, 300)), "JPEG", quality=100, subsampling=0),
    "cmyk": lambda seed: encoded(draw("CMYK", seed), "JPEG"),
    "jpeg whose comment looks like pixels": lambda seed: encoded(draw("RGB", seed), "JPEG", comment=b"\xff\xda\0\x0c"),
    "two pictures": lambda seed: animated(seed, "MPO"),
    "gif": lambda seed: animated(seed, "GIF"),
    "webp": lambda seed: encoded(draw("RGB", seed), "WEBP"),
    "bmp": lambda seed: encoded(draw("RGB", seed), "BMP"),
    "tiff": lambda seed: encoded(draw("RGB", seed), "TIFF"),
    "ppm": lambda seed: encoded(draw("RGB", seed), "PPM"),
    "jpeg 2000": lambda seed: encoded(draw("RGB", seed), "JPEG2000"),
    "text": lambda seed: b"no picture",
    "nothing": lambda seed: b"",
}
"""Files that Pillow reads as a whole."""

MORE = PLAIN | {"progressive jpeg": lambda seed: encoded(draw("RGB", seed), "JPEG", progressive=True, quality=95)}
"""With files whose header is the same only for the same image."""


@pytest.mark.parametrize("at_least", [None, 1, 10])
@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_file_that_begins_like_another_is_the_same_image(kind: str, at_least: int | None) -> None:
    for seed in range(4):
        content = PLAIN[kind](seed)
        assert (image_headers.decode(content, at_least) is None) == (seed == 0)
        assert load(content, at_least) == load_by_pillow(content, at_least)


@pytest.mark.parametrize("at_least", [None, 1])
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_is_left_to_pillow(kind: str, at_least: int | None) -> None:
    for make in PLAIN.values():
        load(make(100), at_least)
    for seed in range(3):
        content = ODD[kind](seed)
        assert image_headers.decode(content, at_least) is None
        assert load(content, at_least) == load_by_pillow(content, at_least)


def test_a_header_is_known_for_the_size_at_which_it_was_decoded() -> None:
    content = PLAIN["jpeg of odd sides"](0)
    for at_least, size in ((None, (61, 37)), (1, (8, 5)), (10, (31, 19)), (None, (61, 37)), (1, (8, 5))):
        assert load(content, at_least) == load_by_pillow(content, at_least)
        assert load(content, at_least)[1] == size


def find_differences(contents: Iterator[bytes], at_least: int | None) -> list[bytes]:
    return [content for content in contents if load(content, at_least) != load_by_pillow(content, at_least)]


@pytest.mark.parametrize("at_least", [None, 1])
@pytest.mark.parametrize("kind", ["png", "grey png", "png with a text", "jpeg", "progressive jpeg"])
def test_a_file_that_ends_anywhere_has_the_problem_that_pillow_names(kind: str, at_least: int | None) -> None:
    content = MORE[kind](0)
    load(content, at_least)
    assert image_headers.decode(content, at_least) is not None
    assert find_differences((content[:end] for end in range(len(content))), at_least) == []
    assert isinstance(load(content[: len(content) * 9 // 10], at_least), str)


@pytest.mark.parametrize("at_least", [None, 1])
@pytest.mark.parametrize("kind", ["png", "png with transparency", "png of 16 bits", "jpeg", "progressive jpeg"])
def test_a_damaged_file_is_what_pillow_makes_of_it(kind: str, at_least: int | None) -> None:
    generator, content = np.random.default_rng(0), MORE[kind](0)
    load(content, at_least)
    made = {load_by_pillow(content, at_least)}

    def damage() -> Iterator[bytes]:
        for number in range(600):
            damaged = bytearray(content)
            for at in generator.integers(0, len(content), 1 + number % 3):
                damaged[at] = generator.integers(0, 256)
            made.add(load(bytes(damaged), at_least))
            yield bytes(damaged)
            at, size = (int(each) for each in generator.integers(0, (len(content), 20)))
            yield content[:at] + content[at + size :]
            yield content[:at] + generator.bytes(size) + content[at:]

    assert find_differences(damage(), at_least) == []
    assert len(made) > 5


class Watched(io.BytesIO):
    """A file that notes how far it has been read."""

    furthest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return content


@pytest.mark.parametrize("kind", MORE)
def test_pillow_opens_a_plain_file_by_the_bytes_of_its_header_alone(kind: str) -> None:
    file = Watched(MORE[kind](0))
    with Image.open(file, formats=("JPEG", "PNG")) as image:
        assert file.furthest == file.tell()
        assert [tile[:2] for tile in image.tile] == [("zip" if image.format == "PNG" else "jpeg", (0, 0, *image.size))]


def test_few_headers_are_kept() -> None:
    for width in range(1, 1200):
        content = encoded(Image.new("RGB", (width, 1)), "PNG")
        assert load(content) == ("RGB", (width, 1), bytes(3 * width))
        assert image_headers.decode(content, None) is not None
    assert len(image_headers._known) <= 1000
