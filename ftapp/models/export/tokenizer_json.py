"""A tokenizer of KerasHub as the file `tokenizer.json`, which the library `tokenizers` and Transformers read.

The file holds all that becomes of a text: `ftapp.data.texts.prepare`, the vocabulary, special tokens, and the length at
which texts are cut off.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import keras_hub
import numpy as np
import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers, processors

from ftapp.data.encoding import encode_texts, tokenize
from ftapp.data.texts import prepare
from ftapp.data.word_piece import make_word_piece
from ftapp.models.keras_internals import rust_tokenizer
from ftapp.models.saved_model import TrainedModel

# Characters beyond ASCII that become a space, or a space and a mark, when they are folded.
_SPACES = [chr(code) for code in range(0x80, 0x10000) if " " in unicodedata.normalize("NFKC", chr(code))]
_PUNCTUATION = r"[!-/:-@\[-`{-~]|\p{P}"
_CJK = (
    rb"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf\U0002f800-\U0002fa1f]"
).decode("unicode_escape")


def make_tokenizer(trained: TrainedModel) -> tokenizers.Tokenizer | None:
    """Make the tokenizer of a model of texts.

    Args:
        trained: The trained model.

    Returns:
        The tokenizer; None for a kind that has no such file, as SentencePiece.
    """
    tokenizer = trained.preprocessor.tokenizer
    if isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
        made = _make_word_piece(tokenizer)
    elif (rust := rust_tokenizer(tokenizer)) is not None:
        made = tokenizers.Tokenizer.from_str(rust.to_str())
        made.normalizer = _make_preparation()
    else:
        return None
    before, after = _list_special_tokens(trained)
    if before or after:
        names = {number: tokenizer.id_to_token(number) for number in (*before, *after)}
        made.post_processor = processors.TemplateProcessing(
            single=" ".join([*(names[each] for each in before), "$A", *(names[each] for each in after)]),
            special_tokens=[(name, number) for number, name in names.items()],
        )
    if trained.causal_lm is None:
        pad = int(tokenizer.pad_token_id)
        made.enable_truncation(trained.preprocessor.sequence_length)
        made.enable_padding(pad_id=pad, pad_token=tokenizer.id_to_token(pad))
    return made


def _make_word_piece(tokenizer: Any) -> tokenizers.Tokenizer:
    """Make a WordPiece tokenizer whose steps are KerasHub's; those of BERT split some characters otherwise."""
    made = tokenizers.Tokenizer(make_word_piece(tokenizer))
    steps = [_make_preparation()]
    if tokenizer.strip_accents:
        steps += [normalizers.NFD(), normalizers.StripAccents()]
    if tokenizer.lowercase:
        # KerasHub folds words after it has split the text, so these spaces split no word and make it unknown.
        steps += [
            normalizers.Replace(Regex(f"[{''.join(_SPACES)}]"), "\ufffd"),
            normalizers.NFKC(),
            normalizers.Lowercase(),
        ]
        steps += [normalizers.Replace("\u00df", "ss")]
    made.normalizer = normalizers.Sequence(steps)
    kept = (_PUNCTUATION, _CJK) if tokenizer.split_on_cjk else (_PUNCTUATION,)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[ \t\n\r\f]|\p{Cc}|\p{Cf}"), "removed"),
            *(pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in kept),
        ]
    )
    made.decoder = tokenizers.decoders.WordPiece(prefix=tokenizer.suffix_indicator)
    return made


def _make_preparation() -> Any:
    """What `ftapp.data.texts.prepare` does, but for halves of surrogate pairs, which no file has."""
    return normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\r\n?"), "\n"),
            normalizers.Replace(Regex(r"(?i)<br\s*/?>"), " "),
        ]
    )


def _list_special_tokens(trained: TrainedModel) -> tuple[list[int], list[int]]:
    """List the tokens that stand before and after a text: of a classifier both, of a prompt those before."""
    preprocessor = trained.preprocessor
    if trained.causal_lm is not None:
        return ([int(preprocessor.tokenizer.start_token_id)] if preprocessor.add_start_token else []), []
    bare = np.asarray(encode_texts([""], preprocessor)["token_ids"][0])
    ids = [int(each) for each in bare if each != preprocessor.tokenizer.pad_token_id]
    own = encode_texts(["a"], preprocessor)["token_ids"][0].tolist()
    first = next((index for index, (left, right) in enumerate(zip(ids, own, strict=False)) if left != right), len(ids))
    return ids[:first], ids[first:]


def encode_prompt(trained: TrainedModel, text: str) -> list[int]:
    """Encode a text that a language model is to continue.

    Args:
        trained: The trained model.
        text: The text, in its template.

    Returns:
        The token ids, with the start token if the model has learned one.
    """
    ids = tokenize([prepare(text)], trained.preprocessor.tokenizer)[0]
    return [*_list_special_tokens(trained)[0], *(int(each) for each in ids)]


def count_equal(trained: TrainedModel, made: tokenizers.Tokenizer, texts: Sequence[str]) -> int:
    """Count the texts of which the file makes the tokens that the model has learned from.

    Args:
        trained: The trained model.
        made: What the file holds.
        texts: The texts.
    """
    if trained.causal_lm is not None:
        wanted = [encode_prompt(trained, text) for text in texts]
    else:
        encoded = encode_texts(texts, trained.preprocessor)
        wanted = [
            ids[mask.astype(bool)].tolist()
            for ids, mask in zip(encoded["token_ids"], encoded["padding_mask"], strict=True)
        ]
    found = [
        [each for each, is_text in zip(encoding.ids, encoding.attention_mask, strict=True) if is_text]
        for encoding in made.encode_batch(list(texts))
    ]
    return sum(theirs == ours for theirs, ours in zip(found, wanted, strict=True))
