"""`predict.py`: the program in an export that reads its files, encodes examples and answers, without ftapp.

It is made of pieces: how examples are encoded, how the runtime computes scores, and what answers are. The check of an
export runs it, so what a user copies is what was tested.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PROGRAM_FILE = "predict.py"

_TEXTS = '''
import numpy as np
from tokenizers import Tokenizer

TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def encode(texts):
    """Encode texts: token ids and mask, int32 (texts, tokens)."""
    encodings = TOKENIZER.encode_batch(list(texts))
    return {
        "token_ids": np.array([each.ids for each in encodings], np.int32),
        "padding_mask": np.array([each.attention_mask for each in encodings], np.int32),
    }
'''

READ_IMAGES = '''
import numpy as np
from PIL import Image, ImageOps

IMAGES = json.loads((FOLDER / "preprocessor_config.json").read_text("utf-8"))
HEIGHT, WIDTH = IMAGES["size"]["height"], IMAGES["size"]["width"]


def read_image(file):
    """Read an image file upright, as RGB pixels: float32 (height, width, 3) from 0 to 255."""
    with Image.open(file) as image:
        image.draft("RGB", (max(HEIGHT, WIDTH), max(HEIGHT, WIDTH)))  # of a large JPEG a fraction is enough
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        return np.asarray(upright.convert("RGB"), np.float32)
'''

RESIZE_IMAGES = '''

def resize(image):
    """Resize an image as in the training."""
    height, width = image.shape[:2]
    if IMAGES["fit"] == "crop":
        kept_height = max(1, min(height, int(width * HEIGHT / WIDTH)))
        kept_width = max(1, min(width, int(height * WIDTH / HEIGHT)))
        top, left = (height - kept_height) // 2, (width - kept_width) // 2
        image = image[top : top + kept_height, left : left + kept_width]
    elif IMAGES["fit"] == "pad":
        top = (max(height, int(width * HEIGHT / WIDTH)) - height) // 2
        left = (max(width, int(height * WIDTH / HEIGHT)) - width) // 2
        image = np.pad(image, ((top, top), (left, left), (0, 0)), constant_values=IMAGES["fill_value"])
    return scale(scale(image, HEIGHT, 0), WIDTH, 1)


def scale(image, size, axis):
    """Scale one axis of an image: by the two nearest pixels, or with Pillow where the training smoothed."""
    length = image.shape[axis]
    if IMAGES["antialias"] or IMAGES["interpolation"] != "bilinear":
        height, width = (size, image.shape[1]) if axis == 0 else (image.shape[0], size)
        resample = Image.Resampling[IMAGES["interpolation"].upper()]
        channels = [Image.fromarray(image[..., each]).resize((width, height), resample) for each in range(3)]
        return np.stack([np.asarray(each) for each in channels], axis=-1)
    place = np.clip((np.arange(size, dtype=np.float32) + 0.5) * np.float32(length / size) - 0.5, 0, length - 1)
    low = np.floor(place).astype(int)
    share = (place - low).reshape([-1 if each == axis else 1 for each in range(3)])
    return np.take(image, low, axis) * (1 - share) + np.take(image, np.minimum(low + 1, length - 1), axis) * share
'''

_ENCODE_IMAGES = '''

def encode(files):
    """Encode image files: RGB images from 0 to 255, float32 (images, height, width, 3)."""
    return {"images": np.stack([resize(read_image(file)) for file in files]).astype(np.float32)}
'''

_ANSWERS = '''

def predict(examples):
    """Compute the scores of examples: (examples, labels), or numbers (examples, 1)."""
    return compute_scores(encode(examples))


def answer(scores):
    """Put the scores of one example in words."""
    labels, thresholds = DESCRIPTION["labels"], DESCRIPTION.get("thresholds")
    if not labels:
        return f"{scores[0]:.6g}"
    if thresholds:
        found = [name for name, score, least in zip(labels, scores, thresholds) if score >= least]
        return ", ".join(found) or "no label"
    return f"{labels[scores.argmax()]} ({scores.max():.4f})"


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    for example, scores in zip(sys.argv[1:], predict(sys.argv[1:])):
        print(f"{answer(scores)}\\t{example}")
'''

_NEXT_TOKEN = '''
import numpy as np


def predict(texts):
    """Compute the logits of the token that follows each text: (texts, vocabulary)."""
    return np.stack([compute_scores(encode([text]))[0, -1] for text in texts])
'''

_CONTINUE = '''

def generate(prompt, length=64):
    """Continue a prompt with the likeliest tokens, up to so many tokens in all."""
    ids = encode([prompt])["token_ids"][0].tolist()
    while len(ids) < length:
        given = np.array([ids], np.int32)
        scores = compute_scores({"token_ids": given, "padding_mask": np.ones_like(given)})
        ids.append(int(scores[0, -1].argmax()))
        if ids[-1] == DESCRIPTION["end_token_id"]:
            break
    return TOKENIZER.decode(ids)
'''

_PROMPTS = """

if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    for prompt in sys.argv[1:]:
        print(generate(DESCRIPTION["prompt_template"].replace("{prompt}", prompt)))
"""

_HEAD = '''"""The answers of the model in this folder. Usage: python predict.py {usage}"""

{imports}

FOLDER = Path(__file__).resolve().parent
DESCRIPTION = json.loads((FOLDER / "labels.json").read_text("utf-8"))
'''


@dataclass(frozen=True)
class Program:
    """What a format's module gives for `predict.py`: pieces of code, with their imports.

    Attributes:
        compute: Loads the model of FOLDER, and defines `compute_scores(inputs)`.
        encode: Defines `encode(examples)` in place of the usual piece.
        generate: Defines `generate(prompt, length)` of a language model, in place of the usual piece.
    """

    compute: str
    encode: str | None = None
    generate: str | None = None


def compose(program: Program, *, images: bool, writes: bool) -> str:
    """Compose the program of an export.

    Args:
        program: The format's pieces.
        images: Whether examples are images.
        writes: Whether the model is a language model.
    """
    usual = READ_IMAGES + RESIZE_IMAGES + _ENCODE_IMAGES if images else _TEXTS
    last = _NEXT_TOKEN + (program.generate or _CONTINUE) + _PROMPTS if writes else _ANSWERS
    imports, body = _split_imports("\n\n\n".join([program.encode or usual, program.compute, last]))
    body = re.sub(r"\n{4,}", "\n\n\n", body).strip("\n")
    usage = "FILE..." if images else "PROMPT..." if writes else "TEXT..."
    listed = _sort_imports({"import json", "import sys", "from pathlib import Path", *imports})
    return _HEAD.format(usage=usage, imports=listed) + f"\n{body}\n"


def make_snippet(program: Program, example: str) -> str:
    """Make a few lines that compute the scores of an example, for a README.

    Args:
        program: The format's pieces.
        example: The example: a text, or the name of an image file.
    """
    imports, body = _split_imports(program.compute)
    listed = _sort_imports({*imports, "from predict import FOLDER, encode"})
    return f"{listed}\n\n{body.strip()}\n\n\nprint(compute_scores(encode([{example!r}])))\n"


def _split_imports(code: str) -> tuple[list[str], str]:
    imports = re.findall(r"^(?:import|from) .+$", code, re.MULTILINE)
    return imports, re.sub(r"^(?:import|from) .+\n", "", code, flags=re.MULTILINE)


def _sort_imports(imports: set[str]) -> str:
    """Sort imports: Python's own modules first."""
    own = {"import json", "import re", "import sys", "import unicodedata", "from pathlib import Path"}
    first, rest = sorted(imports & own, key=_sort_key), sorted(imports - own, key=_sort_key)
    return "\n\n".join("\n".join(part) for part in (first, rest) if part)


def _sort_key(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line
