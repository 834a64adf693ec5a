"""Tokens are packed as the preprocessor of each family of KerasHub packs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_hub
import numpy as np
import pytest
import sentencepiece

from ftapp.data.encoding import encode_texts
from ftapp.data.kerashub import preprocess
from ftapp.data.packing import find_packer
from ftapp.data.texts import prepare

hub: Any = keras_hub.models
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<pad>", "<s>", "</s>", "<mask>", *"abcdefghijklm .,"]
PIECES += [f"##{letter}" for letter in "abcdefghijklm"]
TEXTS = ["", "a", "a bad egg. " * 9, "abc, def.", "<pad> a [PAD] </s> b", "\n", "é", "m" * 120, "a b c d e f g h i j"]


def sentence_pieces(folder: Path, pad: str) -> bytes:
    """Train a SentencePiece model of a few letters."""
    (folder / "corpus.txt").write_text("a bad egg abc def ghi jkl m\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=f"{folder}/corpus.txt",
        model_prefix=f"{folder}/model",
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        pad_piece=pad,
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
    )
    return (folder / "model.model").read_bytes()


def word_piece(preprocessor: Any, tokenizer: Any) -> Any:
    return preprocessor(tokenizer(PIECES), sequence_length=12)


def roberta() -> Any:
    letters = [*"abcdefghijklm.,ĠĊ", "ba", "bad", "eg"]
    vocabulary = {piece: number for number, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters])}
    tokenizer = hub.RobertaTokenizer(vocabulary=vocabulary, merges=["b a", "ba d", "e g"])
    return hub.RobertaTextClassifierPreprocessor(tokenizer, sequence_length=12)


@pytest.mark.parametrize("length", [3, 12, 40])
def test_word_pieces_are_packed_as_the_preprocessor_does(length: int) -> None:
    for preprocessor in (
        word_piece(hub.BertTextClassifierPreprocessor, hub.BertTokenizer),
        word_piece(hub.DistilBertTextClassifierPreprocessor, hub.DistilBertTokenizer),
        roberta(),
    ):
        preprocessor.sequence_length = length
        check(preprocessor)


@pytest.mark.parametrize(
    ("preprocessor", "tokenizer", "pad"),
    [
        (hub.AlbertTextClassifierPreprocessor, hub.AlbertTokenizer, "<pad>"),
        (hub.DebertaV3TextClassifierPreprocessor, hub.DebertaV3Tokenizer, "[PAD]"),
        (hub.XLMRobertaTextClassifierPreprocessor, hub.XLMRobertaTokenizer, "<pad>"),
    ],
)
def test_sentence_pieces_are_packed_as_the_preprocessor_does(
    preprocessor: Any, tokenizer: Any, pad: str, tmp_path: Path
) -> None:
    check(preprocessor(tokenizer(proto=sentence_pieces(tmp_path, pad)), sequence_length=12))


def check(preprocessor: Any) -> None:
    assert find_packer(preprocessor), type(preprocessor).__name__
    expected = preprocess(list(map(prepare, TEXTS)), preprocessor)
    found = encode_texts(TEXTS, preprocessor)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(found[name], values), (type(preprocessor).__name__, name)
        assert found[name].dtype == values.dtype


def test_a_preprocessor_that_packs_in_its_own_way_does_it_itself() -> None:
    class Reversed(keras_hub.models.BertTextClassifierPreprocessor):  # type: ignore[misc]
        """Gives other segments."""

        def call(self, *args: Any, **options: Any) -> Any:
            return super().call(*args, **options) | {"segment_ids": np.ones((len(args[0]), 12), np.int32)}

    preprocessor = word_piece(Reversed, hub.BertTokenizer)
    assert find_packer(preprocessor) is None
    assert encode_texts(["a", "b"], preprocessor)["segment_ids"].all()


def test_no_room_for_a_token_leaves_packing_to_the_preprocessor() -> None:
    preprocessor = word_piece(hub.BertTextClassifierPreprocessor, hub.BertTokenizer)
    preprocessor.sequence_length = 2
    assert find_packer(preprocessor) is None
