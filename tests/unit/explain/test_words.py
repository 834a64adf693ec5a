"""Words of texts, with the tokens of any tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras_hub import models as hub

from ftapp.data.encoding import encode_texts
from ftapp.explain.words import find_words
from tests.support.family_presets import PRESETS
from tests.support.presets import byte_tokens


def make_bert(length: int) -> Any:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "great", "un", "##seen", "'", "t", "don", ".", "日"]
    return hub.BertTextClassifierPreprocessor(hub.BertTokenizer(vocabulary=words), sequence_length=length)


def make_roberta(length: int) -> Any:
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *byte_tokens(), "th", "the"]
    tokenizer = hub.RobertaTokenizer({word: at for at, word in enumerate(words)}, ["t h", "th e"])
    return hub.RobertaTextClassifierPreprocessor(tokenizer, sequence_length=length)


def make_deberta(length: int) -> Any:
    _, preprocessor = PRESETS["deberta_v3"]()
    preprocessor.sequence_length = length
    return preprocessor


TEXT = "Don't miss the great  unseen film.\nThe 日本 héllo!"


@pytest.mark.parametrize("make", [make_bert, make_roberta, make_deberta])
def test_words_have_all_tokens_of_the_text_in_order(make: Any) -> None:
    preprocessor = make(128)
    encoded = encode_texts([TEXT], preprocessor)
    count = int(encoded["padding_mask"].sum())
    words = find_words(TEXT, encoded["token_ids"][0], preprocessor.tokenizer)
    assert "".join(word.text for word in words) == TEXT
    ranges = [word.tokens for word in words if word.tokens is not None]
    assert len(ranges) == len(words)
    assert ranges[0].start == 1  # behind one special token
    assert [each.stop for each in ranges[:-1]] == [each.start for each in ranges[1:]]
    assert ranges[-1].stop == count - 1
    assert {" great", " the"} & {word.text for word in words}


def test_a_word_that_is_cut_keeps_its_first_tokens() -> None:
    preprocessor = make_bert(4)
    text = "film unseen great"
    ids = encode_texts([text], preprocessor)["token_ids"][0]
    words = find_words(text, ids, preprocessor.tokenizer)
    assert [(word.text, word.tokens) for word in words] == [
        ("film", range(1, 2)),
        (" unseen", range(2, 3)),
        (" great", None),
    ]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_a_text_without_words_has_no_tokens(text: str) -> None:
    preprocessor = make_bert(8)
    ids = encode_texts([text], preprocessor)["token_ids"][0][:2]
    assert all(word.tokens is None for word in find_words(text, np.asarray(ids), preprocessor.tokenizer))
