"""`tokenizers` gives the ids of KerasHub's WordPiece tokenizer, or is not used."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import keras_hub
import numpy as np
import pytest

from ftapp.data.encoding import tokenize
from ftapp.data.texts import prepare
from ftapp.data.word_piece import find_encoder

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(33, 127)] + list("äöüßéñçøŁłжя中文字日本語한국💡ﬁ½²…’“”–—™")
WORDS = ["the", "film", "un", "##believ", "##able", "a##s", "##ing", "good", "GOOD", "straße", "ﬁlm", "café", "cafe"]
VOCABULARY = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]

NASTY = [
    "",
    " ",
    "\n\n\t \r\n",
    "x" * 99,
    "x" * 100,
    "x" * 101,
    "é" * 50,
    "é" * 51,
    "💡" * 26,
    "a" * 100_000,
    "[CLS] [SEP] [PAD] [MASK] [UNK] [cls]",
    "##ing a##s #",
    "a\x00b a\x08b a\x0bb a\x1fb a\x7fb a\x85b a\x9fb",
    "zero\u200bwidth soft\u00adhyphen \ufeffmark left\u200eto\u202eright",
    "no\u00a0break thin\u2009narrow\u202fwide\u3000line\u2028paragraph\u2029",
    "e\u0301 \u0301 a\u0301\u0323 \u0301\u0301 J\u030c ǰ",
    "ǅ Ǆ ﬁlm ½ ² … ™ ẞ ß ſ ŉ İ ı K Å",
    "ΑΣ ΑΣΑ ΌΣΟΣ straße STRASSE",
    "中文字符 中a文 𠀀𪜀𫝀 豈 㐀",
    "日本語のテキスト 한국어 텍스트 ไทย हिन्दी עברית العربية",
    "👩‍👩‍👧‍👦 🏳️‍🌈 1️⃣ 💡",
    "\ud800 half a pair \udfff",
    "<br /><br/>a<br>b",
    "“curly” ‘quotes’ – — … ¡hola! ¿qué?",
    "Robert'); DROP TABLE students;-- ../../etc/passwd $HOME `ls` %s %n {0}",
    "𝕿𝖍𝖊 𝓺𝓾𝓲𝓬𝓴 ⓑⓡⓞⓦⓝ ｆｏｘ",
    "\ufdfa \u0149 \u1e9e \u0130",
    "\U000e0041\U000e0042 \ufffe \uffff \U0010ffff",
]


def bert(**options: Any) -> Any:
    return keras_hub.tokenizers.WordPieceTokenizer(vocabulary=VOCABULARY, special_tokens=SPECIAL, **options)


def check(texts: Sequence[str], tokenizer: Any) -> None:
    assert find_encoder(tokenizer)
    prepared = list(map(prepare, texts))
    for text, found, own in zip(prepared, tokenize(prepared, tokenizer), tokenizer(prepared), strict=True):
        assert list(found) == list(map(int, own)), ascii(text[:200])


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False])
@pytest.mark.parametrize("split_on_cjk", [True, False])
def test_nasty_texts_have_the_ids_of_kerashub(*, lowercase: bool, strip_accents: bool, split_on_cjk: bool) -> None:
    tokenizer = bert(lowercase=lowercase, strip_accents=strip_accents, split_on_cjk=split_on_cjk)
    check([*NASTY, " ".join(NASTY), "\n".join(reversed(NASTY))], tokenizer)


def test_each_character_has_the_ids_of_kerashub_inside_of_words_and_alone() -> None:
    characters = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x10000), *range(0x1F300, 0x1FB00))]
    kinds = {each: unicodedata.category(each) for each in characters}
    letters = [each for each in characters if kinds[each] == "Lo"]  # most of them Chinese or Korean
    characters = [each for each in characters if kinds[each] not in ("Co", "Cn", "Lo")] + letters[::16]
    tokenizer = bert(lowercase=True, strip_accents=True)
    check(["".join(f"a{each}b {each} c{each}" for each in part) for part in np.array_split(characters, 100)], tokenizer)


def test_random_texts_have_the_ids_of_kerashub() -> None:
    random = np.random.default_rng(0)
    alphabet = [*"abcDEF.,!- \t\n\r", *LETTERS, "\x08", "\x85", "\u0301", "\u200b", "\u00a0", "[UNK]", "##", "film"]
    texts = ["".join(random.choice(alphabet, size)) for size in random.integers(0, 200, 1000)]
    for lowercase in (True, False):
        check(texts, bert(lowercase=lowercase))


def write_reviews(count: int) -> list[str]:
    """Write reviews of 12 made-up words, one in 10 of them with a capital, one in 100 with unusual characters."""
    random = np.random.default_rng(1)
    syllables = ["the", "film", "un", "able", "ing", "a", "s", "good", "believ", "ra", "ctor", "'", "-", "1", ".5"]
    words = ["".join(random.choice(syllables, size)) for size in random.integers(1, 6, 2000)]
    rare = ["Straße", "café", "naïve", "日本語", *(text for text in NASTY if 0 < len(text) <= 101)]
    drawn = [words[at % len(words)] for at in random.zipf(1.3, 12 * count)]
    for at in np.flatnonzero(random.random(len(drawn)) < 0.1):
        drawn[at] = drawn[at].title()
    for at in np.flatnonzero(random.random(len(drawn)) < 0.01):
        drawn[at] = rare[at % len(rare)]
    ends = random.choice([" ", ", ", ". ", "! ", "\n", " - ", "<br /><br />"], len(drawn)).tolist()
    written = [f"{word}{end}" for word, end in zip(drawn, ends, strict=True)]
    return ["".join(written[start : start + 12]) for start in range(0, len(written), 12)]


@pytest.mark.slow
def test_20_000_reviews_have_the_ids_of_kerashub() -> None:
    reviews = write_reviews(20_000)
    assert 1000 < sum(not review.isascii() for review in reviews) < 5000
    check(reviews, bert(lowercase=True))


@pytest.mark.parametrize("options", [{"special_tokens_in_strings": True}, {"split": False}, {"sequence_length": 8}])
def test_a_tokenizer_of_other_options_reads_texts_itself(options: dict[str, Any]) -> None:
    assert find_encoder(bert(**options)) is None


def test_a_tokenizer_that_splits_in_its_own_way_reads_texts_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Hyphens(keras_hub.tokenizers.WordPieceTokenizer):  # type: ignore[misc]
        """Keeps no hyphens."""

        def tokenize(self, inputs: Any) -> Any:
            return super().tokenize([text.replace("-", " ") for text in inputs])

    tokenizer = Hyphens(vocabulary=VOCABULARY)
    assert find_encoder(tokenizer) is None
    assert "splits words in its own way" in caplog.text
    assert tokenize(["a-b"], tokenizer) == [[VOCABULARY.index("a"), VOCABULARY.index("b")]]


def test_pieces_keep_the_prefix_of_the_tokenizer() -> None:
    vocabulary = [*SPECIAL, "film", "@@s", "@@m"]
    tokenizer = keras_hub.tokenizers.WordPieceTokenizer(vocabulary=vocabulary, suffix_indicator="@@")
    check(["films filmm film@@s"], tokenizer)
    assert tokenize(["films"], tokenizer) == [[5, 6]]
