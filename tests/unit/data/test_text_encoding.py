"""Texts in other encodings than UTF-8: recognised where the bytes are clear, and the run says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp.data import text_encoding
from tests.unit.data.test_tables import ROWS, load, written
from tests.unit.data.test_texts import texts


@pytest.mark.parametrize(
    "words", ["un café très doux", "“größer” – für 5 €", "«\u00a0Où\u00a0?\u00a0» ¿mañana?", "hyvää yötä"]
)
def test_western_european_files_are_read_and_the_run_says_so(tmp_path: Path, words: str) -> None:
    rows = [(f"{words} {number}", label) for number, (_, label) in enumerate(ROWS)]
    splits = load(tmp_path / "a.csv", written(rows=rows, delimiter=";").encode("cp1252"))
    assert texts(splits) == dict(rows)
    said, dialect = splits.notes
    assert said.startswith("read as cp1252 ('…")
    assert said.endswith("since it is not UTF-8; data.encoding names another encoding")
    assert dialect == "read with semicolons between fields"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("zażółć gęślą jaźń, a good film", "cp1250"),
        ("příliš žluťoučký kůň", "cp1250"),
        ("şarkı söyleyen küçük ağaç", "cp1254"),
        ("un café très doux", "mac_roman"),
        ("un café très doux", "cp850"),
        ("хорошее кино", "koi8-r"),
        ("πολύ καλή ταινία", "cp1253"),
        ("とても良い映画", "shift_jis"),
        ("un café très doux", "utf-8"),
        ("a byte of all ones: ÿ", "latin-1"),
    ],
)
def test_other_letters_and_damaged_utf8_are_not_western(text: str, encoding: str) -> None:
    content = f"{text}\n".encode(encoding) * 50
    assert not text_encoding.is_western(content + b"caf\xe9\n" * (encoding == "utf-8"))
