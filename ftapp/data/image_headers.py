"""Headers of PNG and JPEG files that Pillow has read: files that begin alike are decoded without reading them again.

Pillow reads headers in Python, which takes more time than it takes libjpeg or zlib to decode a small image. What Pillow
finds there follows from the bytes of the header alone, and many files of a data set have equal ones. Here Pillow's own
decoder gets the rest of such a file with the arguments that the header led to, so the pixels are the same to the bit.
Whatever differs from the plain case is left to Pillow as a whole: files that cannot be decoded, larger files, EXIF,
palettes, animations, interlaced rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

ORIENTATION_SOURCES = {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"}
"""What Pillow has of a file that may tell its orientation. TIFF has it in a tag."""

_MODES = {"L", "LA", "RGB", "RGBA"}  # no palette, which the decoder knows nothing of
# What Pillow has of a header that changes the image, or how its pixels are read.
_CHANGING = {*ORIENTATION_SOURCES, "transparency", "interlace", "bbox", "default_image"}
_MOST = 1000  # headers; 0.6 KB each in most JPEG files
_LONGEST = 4096  # bytes of a header
_JPEG, _SCAN = b"\xff\xd8\xff", b"\xff\xda"
_DATA, _END = b"IDAT", b"\0\0\0\0IEND"
_SUM = 4  # bytes of the checksum after a chunk of a PNG file; Pillow too leaves that of pixels to zlib's own

_Key = tuple[bytes, int | None]


class _Header(NamedTuple):
    """What Pillow found in a header.

    Attributes:
        mode: The mode of the image.
        size: Its width and height.
        decoder: The decoder of its pixels.
        arguments: The arguments of the decoder.
    """

    mode: str
    size: tuple[int, int]
    decoder: str
    arguments: tuple[Any, ...]


_known: dict[_Key, _Header] = {}


def decode(content: bytes, at_least: int | None) -> Image.Image | None:
    """Decode a file that begins as one before it did.

    Args:
        content: The bytes of the file.
        at_least: As in `ftapp.data.images.decode`.

    Returns:
        What `PIL.Image.open` and `load` give for the file, without a format; None where they are to read it.
    """
    if len(content) > ImageFile.MAXBLOCK:  # Pillow would give it to the decoder in parts
        return None
    if content.startswith(_JPEG):
        data, header = content, content[: _find_scan(content)]
    else:
        at = content.find(_DATA) - 4
        end = at + 8 + int.from_bytes(content[at : at + 4]) if at >= 0 else 0
        if not end or content[end + _SUM : end + _SUM + len(_END)] != _END:  # chunks behind the pixels may change them
            return None
        data, header = content[at + 8 : end], content[:at]
    found = _known.get((header, at_least))
    if found is None:
        return None
    try:
        return Image.frombytes(found.mode, found.size, data, found.decoder, found.arguments)
    except Exception:  # Pillow says better why it cannot be decoded
        return None


def remember(content: bytes, end: int, image: Image.Image, at_least: int | None) -> None:
    """Remember what Pillow read from the header of a file, if the header leads to a plain image.

    Args:
        content: The bytes of the file.
        end: How many of them Pillow has read.
        image: The image, opened and drafted, and not loaded.
        at_least: As in `decode`.
    """
    if len(content) > ImageFile.MAXBLOCK or not isinstance(image, ImageFile.ImageFile) or len(image.tile) != 1:
        return
    decoder, extents, offset, arguments = image.tile[0]
    if type(image) is JpegImageFile and offset == 0 and end == _find_scan(content):
        expected = "jpeg"
    elif type(image) is PngImageFile and offset == end and not image.is_animated:
        expected, end = "zip", end - 8
    else:
        return
    is_plain = image.mode in _MODES and decoder == expected and extents == (0, 0, *image.size)
    if is_plain and end <= _LONGEST and _CHANGING.isdisjoint(image.info):
        arguments = arguments if isinstance(arguments, tuple) else (arguments,)
        if len(_known) >= _MOST:
            _known.clear()
        _known[content[:end], at_least] = _Header(image.mode, image.size, expected, (*arguments, *image.decoderconfig))


def _find_scan(content: bytes) -> int:
    """Find where the header of a JPEG file ends and its pixels begin, unless the header has the same two bytes."""
    at = content.find(_SCAN)
    return at + 2 + int.from_bytes(content[at + 2 : at + 4])
