"""Tables, plain texts and books: what is read, and what is said about files that cannot be."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.data import examples, gutenberg, near_copies
from ftapp.data.examples import Texts
from ftapp.data.splits import split_documents
from ftapp.data.texts import prepare
from ftapp.recipe import Data, sources

ROWS = [(f"review number {number}", "good" if number % 2 else "bad") for number in range(20)]


def spec(source: str, **keys: object) -> Data:
    return Data.model_validate({"source": source, **keys})


def write_csv(path: Path, rows: Sequence[tuple[str, ...]], header: str = "text,label") -> str:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return f"csv:{path}"


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return f"jsonl:{path}"


def problems(source: str, task: str = "text-classification", **keys: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        data.load(spec(source, **keys), task, 0)
    return [str(problem) for problem in caught.value.problems]


def texts(splits: data.Splits) -> dict[object, str]:
    """Text -> name of its class, over all splits."""
    return {
        part[position]: splits.classes[part.labels[position]]
        for part in (splits.train, splits.validation, splits.test)
        for position in range(len(part))
    }


def test_csv(tmp_path: Path) -> None:
    splits = data.load(spec(write_csv(tmp_path / "reviews.csv", ROWS)), "text-classification", 0)
    assert splits.classes == ("bad", "good")
    assert texts(splits) == dict(ROWS)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 4]


def test_jsonl_with_numbers_truth_values_and_names_of_its_own(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"body": f"text {number}", "stars": number % 3 + 9} for number in range(20)]
    source = write_jsonl(tmp_path / "a.jsonl", rows)
    splits = data.load(spec(source, text_column="body", label_column="stars"), "text-classification", 0)
    assert splits.classes == ("9", "10", "11")
    rows = [{"text": f"text {number}", "label": number % 2 == 0} for number in range(20)]
    source = write_jsonl(tmp_path / "b.jsonl", rows)
    assert data.load(spec(source), "text-classification", 0).classes == ("false", "true")


def test_byte_order_mark_quotes_long_fields_and_tags(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    long = "word " * 100_000
    rows = [f'"a, ""quoted""\ntext {number}<br /><br/>end",{number % 2}' for number in range(10)] + [f"{long},1"]
    path.write_text("text,label\r\n" + "\r\n".join(rows), encoding="utf-8-sig", newline="")
    found = texts(data.load(spec(f"csv:{path}"), "text-classification", 0))
    assert found['a, "quoted"\ntext 3  end'] == "1"
    assert found[long] == "1"


def test_filters(tmp_path: Path) -> None:
    rows = [(*row, "imdb" if number < 10 else "other") for number, row in enumerate(ROWS)]
    source = write_csv(tmp_path / "mixed.csv", rows, "text,label,source")
    assert texts(data.load(spec(f"{source}?source=imdb"), "text-classification", 0)) == dict(ROWS[:10])
    assert "did you mean 'imdb'" in problems(f"{source}?source=imbd")[0]
    assert (
        "there is no column 'sauce'; the columns are 'text', 'label', 'source'; did you mean 'source'"
        in problems(f"{source}?sauce=imdb")[0]
    )


def test_classes_of_the_recipe(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "reviews.csv", ROWS)
    assert data.load(spec(source, classes=["good", "bad"]), "text-classification", 0).classes == ("good", "bad")
    message = problems(source, classes=["good", "bat"])[0]
    assert "rows 2, 4, 6 and 7 more: the label 'bad' is none of data.classes; did you mean 'bat'?" in message
    numbered = write_csv(tmp_path / "numbered.csv", [(text, str(len(label) - 3)) for text, label in ROWS])
    splits = data.load(spec(numbered, classes=["bad", "good"]), "text-classification", 0)
    assert texts(splits) == dict(ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,lable\na,1\nb,2",
            "there is no column 'label'; the columns are 'text', 'lable'; --set data.label_column=lable",
        ),
        (
            "text,label\na,1\n,2",
            "row 3: the text is empty; each example has a text; to leave these rows out, --set data.skip",
        ),
        (
            "text,label\na,1\n<br />,2",
            "row 3: the text is empty; each example has a text; to leave these rows out, --set data.skip",
        ),
        (
            "text,label\na,1\nb,",
            "row 3: the label is missing; to leave these rows out, --set data.skip_incomplete=true",
        ),
        (
            "text,label\na,1\nb,2,3",
            "row 3: 3 fields, and the header has 2; a field that holds a comma stands in quotes",
        ),
        ('text,label\na,1\n"b,2\n', 'row 3: line 3: the quote " that opens a field is not closed'),
        ("text,label\na,1\nb,1", "every label is '1'; classification takes at least two classes"),
        ("text,label\n", "this table has no rows"),
        ("", "this file is empty"),
    ],
)
def test_what_is_wrong_with_a_csv_file(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    found = problems(f"csv:{path}")
    assert message in found[0]
    assert found[0].startswith(str(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "b", "label": 1', "line 2: it is no JSON: Expecting"),
        ('["b", 1]', 'line 2: ["b", 1] is no object; each example is one, {…}'),
        ('{"text": "b"}', "line 2: the label is missing"),
        ('{"text": "b", "label": 1.5}', "line 2: the label is a fraction, such as 1.5; each example has one label"),
        ('{"text": null, "label": 1}', "line 2: there is no text"),
        ('{"text": ["b"], "label": 1}', "line 2: the text is a list; each text is a string"),
    ],
)
def test_what_is_wrong_with_a_json_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f'{{"text": "a", "label": 0}}\n{line}\n')
    assert message in problems(f"jsonl:{path}")[0]


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("text,label\na,1\nхорошее кино,2\nочень плохое кино,1\nc,2\nd,1\ne,2\n".encode("cp1251"))
    found = problems(f"csv:{path}")[0]
    assert "byte 15 (0xf5, line 3) is not UTF-8" in found
    assert found.endswith("--set data.encoding=cp1251")
    assert "хорошее кино" in texts(data.load(spec(f"csv:{path}", encoding="cp1251"), "text-classification", 0))


def test_problems_are_reported_together_and_in_moderation(tmp_path: Path) -> None:
    found = problems(write_csv(tmp_path / "bad.csv", [("", "1")] * 30))
    assert len(found) == 1
    assert found[0].startswith(f"{tmp_path}/bad.csv: data.text_column: rows 2, 3, 4 and 27 more: the text is empty")
    rows = [(f"text {number}", "x" * number) for number in range(1, 31)]
    found = problems(write_csv(tmp_path / "bad.csv", rows), classes=["x", "y"])
    assert len(found) == 1
    assert "29 labels in 29 rows are none of data.classes" in found[0]
    lines = "\n".join('{"text": ' + " " * number + "}" for number in range(30))
    (tmp_path / "bad.jsonl").write_text(lines)
    found = problems(f"jsonl:{tmp_path / 'bad.jsonl'}")
    assert len(found) == 11
    assert "and 20 more problems" in found[-1]
    (message,) = problems(write_csv(tmp_path / "bad.csv", ROWS), classes=["negative", "positive"])
    assert message.endswith(
        "the labels are 'bad', 'good', and data.classes has 2 other names, 'negative', 'positive'; to take the labels "
        "as the classes, --set data.classes="
    )


def test_a_language_model_reads_tables_without_labels(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": text} for text, _ in ROWS]
    documents = data.load_documents(spec(write_jsonl(tmp_path / "a.jsonl", rows), test=0.25), 0)
    assert [len(part) for part in (documents.train, documents.validation, documents.test)] == [13, 2, 5]
    assert sorted(documents.train + documents.validation + documents.test) == sorted(text for text, _ in ROWS)


BOOK = "\r\n\r\n".join(f"Paragraph {number} has\r\nseveral words in it." for number in range(200))


def test_a_book_is_cut_at_paragraphs_in_order(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(BOOK.encode() + b"\x1a")
    documents = data.load_documents(spec(f"text:{path}", validation=0.1, test=0.2), 0)
    parts = [documents.train, documents.validation, documents.test]
    assert [len(part) for part in parts] == [1, 1, 1]
    assert "\n\n".join(part[0] for part in parts) == BOOK.replace("\r\n", "\n")
    shares = [len(part[0]) / len(BOOK.replace("\r", "")) for part in parts]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.03)
    assert all(part[0].startswith("Paragraph") and part[0].endswith(".") for part in parts)


def test_a_folder_and_a_pattern_of_texts(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for number in range(50):
        (tmp_path / ("deep" if number % 2 else ".") / f"{number}.txt").write_text(f"text {number % 49}")
    whole = data.load_documents(spec(f"text:{tmp_path}"), 0)
    assert whole.duplicates == 1
    assert len(whole.train + whole.validation + whole.test) == 49
    pattern = sources.resolve(f"text:{tmp_path}/deep/*.txt")
    assert len(data.load_documents(spec(pattern), 0).train) == 18
    with pytest.raises(ValueError, match="a pattern matches at least one file"):
        sources.resolve(f"text:{tmp_path}/none*.txt")


def test_what_is_wrong_with_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(RecipeError, match=r"a\.txt: data\.source: this file is empty"):
        data.load_documents(spec(f"text:{tmp_path}"), 0)
    (tmp_path / "a.txt").write_text("words " * 100)
    with pytest.raises(
        RecipeError, match=r"data\.test: 5 is no size for 1 text; .* share of each, such as data\.test=0\.1"
    ):
        data.load_documents(spec(f"text:{tmp_path}", test=5), 0)
    (tmp_path / "a.txt").write_text("word")
    with pytest.raises(RecipeError, match="too few to cut"):
        data.load_documents(spec(f"text:{tmp_path}"), 0)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RecipeError, match=r"this folder has no \.txt file"):
        data.load_documents(spec(f"text:{empty}"), 0)


FRAMED = f"""The Project Gutenberg eBook of Words

*** START OF THE PROJECT GUTENBERG EBOOK
WORDS ***

{BOOK}

*** END OF THE PROJECT GUTENBERG EBOOK WORDS ***
Licence
"""


def test_a_book_of_gutenberg_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "server" / "cache" / "epub" / "7"
    folder.mkdir(parents=True)
    (folder / "pg7.txt").write_bytes(b"\xef\xbb\xbf" + FRAMED.encode())

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "server"))  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FTAPP_GUTENBERG", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("FTAPP_OFFLINE", raising=False)
    first = data.load_documents(spec("gutenberg:7"), 0)
    with pytest.raises(RecipeError, match="answered 404"):
        data.load_documents(spec("gutenberg:8"), 0)
    server.shutdown()
    server.server_close()
    assert data.load_documents(spec("gutenberg:7"), 0) == first
    assert first.train[0].startswith("Paragraph 0 has\nseveral")
    assert first.test[0].endswith("Paragraph 199 has\nseveral words in it.")


def test_a_book_without_a_frame_stays_whole() -> None:
    assert gutenberg.remove_frame(" All of it. ") == "All of it."


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("one<br />two<BR>three<br/>", "one two three "),
        ("<br<br />/>", " "),
        ("a\r\nb\rc", "a\nb\nc"),
        ("cafe\u0301", "caf\u00e9"),
        ("half \ud83d", "half \ufffd"),
        ("plain text", "plain text"),
    ],
)
def test_texts_are_prepared_once_and_for_all(text: str, prepared: str) -> None:
    assert prepare(text) == prepared
    assert prepare(prepared) == prepared


def sentences(count: int, seed: int) -> list[str]:
    """Lines of twelve words of a vocabulary of 300."""
    random = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in random.integers(0, 300, 12)) + "." for _ in range(count)]


def test_an_older_copy_of_a_text_is_dropped(tmp_path: Path) -> None:
    lines, others = sentences(500, 0), sentences(300, 1)
    (tmp_path / "book.txt").write_text("\n".join(lines))
    (tmp_path / "other.txt").write_text("\n".join(others))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "book-2019.TXT").write_text("\n".join([*lines[:260], *sentences(200, 2)]).upper())
    documents = data.load_documents(spec(f"text:{tmp_path}"), 0)
    held_out = {line for text in (*documents.validation, *documents.test) for line in text.lower().split("\n")}
    trained = {line for text in documents.train for line in text.lower().split("\n")}
    assert len(held_out) > 150
    assert not held_out & trained
    assert documents.notes == (
        "1 near-copy dropped, at least 50% of which is in another text: old/book-2019.TXT (book.txt)",
    )


def test_what_held_out_texts_hold_leaves_the_training_text() -> None:
    book, copy, other = ("\n".join(sentences(100, seed)) for seed in (0, 0, 3))
    ranks = {"train": examples.TRAIN, "validation": examples.VALIDATION, "test": examples.TEST}
    texts = [book + "\nmore " * 50, other, copy + " altered", "\n".join(sentences(80, 4))]
    given = np.array([ranks[name] for name in ("train", "train", "test", "validation")], np.int8)
    found = split_documents(Texts(texts, given_split=given), spec("gutenberg:1"), 0)
    assert found.train == [other]
    assert found.test == [texts[2]]


def test_a_text_that_repeats_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text("\n".join(sentences(50, 0) * 20))
    found = data.load_documents(spec(f"text:{tmp_path}/song.txt"), 0)
    assert found.notes == ("100% of the test split, in runs of eight words, stands in the training split too",)
    (tmp_path / "book.txt").write_text("\n".join(sentences(1000, 0)))
    assert data.load_documents(spec(f"text:{tmp_path}/book.txt"), 0).notes == ()


def test_texts_with_a_header_in_common_stay() -> None:
    header = "\n".join(sentences(10, 9))
    texts = [header + "\n" + "\n".join(sentences(30, seed)) for seed in range(30)]
    assert near_copies.find(texts, [0] * 30) == {}
    chinese = "".join(map(chr, np.random.default_rng(0).integers(0x4E00, 0x9FFF, 4000)))
    assert near_copies.find([chinese, chinese[:3000] + "新" * 200], [0, 0]) == {1: 0}


def test_debris_and_letter_case_of_a_folder_of_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(sentences(100, 0)))
    (tmp_path / "B.TXT").write_text("\n".join(sentences(100, 1)))
    (tmp_path / "README.md").write_text("about")
    for name in (".git/d.txt", ".ipynb_checkpoints/a-checkpoint.txt", "__MACOSX/._a.txt", "__MACOSX/a.txt",
                 "@eaDir/a.txt", "$RECYCLE.BIN/a.txt", "a.txt~", ".hidden.txt", "a.txt.bak"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("junk " * 200)
    for source in (f"text:{tmp_path}", f"text:{tmp_path}/*.txt", f"text:{tmp_path}/**/*.txt"):
        documents = data.load_documents(spec(source), 0)
        assert len(documents.train) == 2
        assert not any("junk" in text for text in documents.train + documents.test)
    assert data.load_documents(spec(f"text:{tmp_path}"), 0).notes == ("1 file ignored that are no .txt: README.md",)
    assert data.load_documents(spec(f"text:{tmp_path}/.git/*.txt"), 0).train[0].startswith("junk")
    (tmp_path / "gone.txt").symlink_to("nowhere")
    with pytest.raises(RecipeError, match=r"gone\.txt: data\.source: this link leads to 'nowhere', which does not"):
        data.load_documents(spec(f"text:{tmp_path}"), 0)
    only = tmp_path / "only"
    only.mkdir()
    (only / "page.md").write_text("text")
    with pytest.raises(RecipeError, match=r"this folder has no \.txt file.*such as text:.*/only/\*\.md"):
        data.load_documents(spec(f"text:{only}"), 0)


def test_texts_that_are_called_like_splits_are(tmp_path: Path) -> None:
    for number, name in enumerate(("wiki.train.txt", "wiki.valid.txt", "wiki.test.txt")):
        (tmp_path / name).write_text("\n".join(sentences(40, number)))
    documents = data.load_documents(spec(f"text:{tmp_path}"), 0)
    assert [part[0].split("\n")[0] for part in (documents.train, documents.validation, documents.test)] == [
        sentences(40, number)[0] for number in range(3)
    ]
    assert documents.notes == (
        "splits by file: train from wiki.train.txt, validation from wiki.valid.txt, test from wiki.test.txt",
    )
    assert len(data.load_documents(spec(f"text:{tmp_path}", splits="none"), 0).test) == 3
    (tmp_path / "more.txt").write_text("\n".join(sentences(40, 7)))
    with pytest.raises(RecipeError, match=r"called like splits, and 'more\.txt' is not; .*; move that file .* --set"):
        data.load_documents(spec(f"text:{tmp_path}"), 0)


def test_many_labels_of_other_names_are_one_problem(tmp_path: Path) -> None:
    rows = [(f"text number {index}", str(index % 11)) for index in range(44)]
    found = problems(write_csv(tmp_path / "ratings.csv", rows), classes=["0", "1"])
    assert len(found) == 1
    assert "9 labels in 36 rows are none of data.classes" in found[0]
    assert found[0].endswith("to take the labels as the classes, --set data.classes=")


def test_characters_of_value_zero_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("one\0two\0 " * 30 + "\n" + "words of a book\n" * 40)
    documents = data.load_documents(spec(f"text:{tmp_path / 'book.txt'}", test=0.25), 0)
    assert not any("\0" in text for text in (*documents.train, *documents.validation, *documents.test))
    assert "60 characters of value zero left out" in documents.notes
