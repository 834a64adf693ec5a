"""Prompts with completions and chats in tables: read, refused with a way out, split by rows, and encoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras_hub
import numpy as np
import pytest

from ftapp import data, recipe
from ftapp.common.errors import RecipeError
from ftapp.data.completions import Completions
from ftapp.data.dataset import IGNORED, EncodedSplits
from ftapp.data.encoded_completions import EncodedCompletions, encode_rows
from ftapp.data.encoded_splits import encode_splits
from ftapp.recipe.templates import Exchange
from ftapp.tui.editor.data_pane import _text
from ftapp.workers.previews import preview_examples
from tests.support.presets import Tiny
from tests.unit.data.test_texts import spec

PAIRS: list[dict[str, Any]] = [{"prompt": f"{at}=", "completion": f"{at}!"} for at in range(20)]
CHAT = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 2


def load(path: Path, rows: list[dict[str, Any]], **keys: object) -> data.Splits:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return data.load(spec(f"jsonl:{path}", **keys), "completion-lm", 0)


def refused(path: Path, rows: list[dict[str, Any]], **keys: object) -> str:
    with pytest.raises(RecipeError) as error:
        load(path, rows, **keys)
    return str(error.value)


def list_exchanges(splits: data.Splits) -> list[tuple[Exchange, ...]]:
    assert isinstance(splits.train.examples, Completions)
    return list(splits.train.examples.exchanges)


def test_rows_are_read_with_the_template(tmp_path: Path) -> None:
    splits = load(tmp_path / "a.jsonl", PAIRS, template="{prompt} ->{completion}")
    assert list_exchanges(splits)[3] == (Exchange("3= ->", "3!"),)
    assert splits.classes == ()
    assert {len(splits.train), len(splits.validation), len(splits.test)} == {14, 2, 4}


def test_equal_rows_count_once_and_other_completions_of_a_prompt_stay(tmp_path: Path) -> None:
    rows = [*PAIRS, PAIRS[0], {"prompt": "0=", "completion": "!"}, {"prompt": "0", "completion": "=0!"}]
    splits = load(tmp_path / "a.jsonl", rows)
    assert splits.duplicates == 1
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 22


def test_groups_and_given_splits_hold(tmp_path: Path) -> None:
    rows = [{**row, "topic": at // 2, "part": "test" if at < 4 else "train"} for at, row in enumerate(PAIRS)]
    splits = load(tmp_path / "a.jsonl", rows, group_column="topic")
    assert any("no group is in two splits" in note for note in splits.notes)
    given = load(tmp_path / "a.jsonl", rows, split_column="part")
    assert sorted(given.test.indices.tolist()) == [0, 1, 2, 3]


def test_prompts_of_two_splits_are_told_and_groups_keep_them_in_one(tmp_path: Path) -> None:
    rows = [{"prompt": f"{at // 2}=", "completion": f"{at}!"} for at in range(40)]
    notes = load(tmp_path / "a.jsonl", rows).notes
    assert any("test prompts are prompts of training examples too; to keep equal prompts" in note for note in notes)
    grouped = load(tmp_path / "a.jsonl", rows, group_column="prompt")
    assert not any("prompts of training examples" in note for note in grouped.notes)


def test_a_preview_shows_prompt_and_completion_apart(tmp_path: Path) -> None:
    splits = load(tmp_path / "a.jsonl", PAIRS, template="{prompt} -> {completion}.")
    preview = preview_examples(splits, 2, tmp_path)
    assert isinstance(splits.train.examples, Completions)
    first = splits.train.examples.read_exchange(int(splits.train.indices[0]))
    shown = preview.examples[0]
    assert (shown.text, shown.completion, shown.characters) == (*first, len("".join(first)))
    assert first.prompt.endswith(" -> ")
    lines = _text(shown, 9, 8).plain.splitlines()
    assert lines == ["9 tokens, cut at 8", first.prompt.strip(), f"→ {first.completion}"]


def test_rows_without_a_completion_are_refused_or_left_out(tmp_path: Path) -> None:
    rows = [*PAIRS, {"prompt": "a", "completion": " "}, {"prompt": None, "completion": "b"}]
    said = refused(tmp_path / "a.jsonl", rows)
    assert "data.completion_column: line 21: the completion is empty; each example has a completion" in said
    assert "data.prompt_column: line 22: there is no prompt" in said
    splits = load(tmp_path / "a.jsonl", rows, skip_incomplete=True)
    assert "2 rows left out: no prompt or no completion in them" in splits.notes


def test_a_completion_may_be_a_word_for_nothing(tmp_path: Path) -> None:
    rows = [*PAIRS, {"prompt": "Which of them?", "completion": "None"}]
    assert list_exchanges(load(tmp_path / "a.jsonl", rows))[20] == (Exchange("Which of them?", "None"),)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "a", "answer": "b"}, "--set data.prompt_column=question"),
        ({"question": "a", "answer": "b"}, "--set data.completion_column=answer"),
        ({"messages": CHAT}, "--set data.chat_column=messages"),
    ],
)
def test_a_missing_column_is_refused_with_the_likely_one(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    assert said in refused(tmp_path / "a.jsonl", [row] * 5)


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        ("hi", "the chat is a text; a chat is a list of turns"),
        ([{"from": "human", "value": "hi"}], "turn 1 of the chat has the keys from, value; each turn is"),
        ([{"role": "user", "content": "hi"}], "no turn has the role 'assistant', on which the loss is"),
        ([{"role": "assistant", "content": ""}], "turn 1 of the chat, which the model is to learn, is empty"),
        ([{"role": "user", "content": None}], "turn 1 of the chat has the content None"),
        ([], "there is no chat; each example has one; to leave these rows out"),
    ],
)
def test_a_chat_that_cannot_be_used_is_refused(tmp_path: Path, chat: object, said: str) -> None:
    rows = [{"chat": [*CHAT, {"role": "user", "content": str(at)}]} for at in range(5)]
    assert said in refused(tmp_path / "a.jsonl", [*rows, {"chat": chat}], chat_column="chat")


def encode(tiny: Tiny, source: str, length: int, **keys: object) -> EncodedSplits:
    preprocessor = keras_hub.models.CausalLMPreprocessor.from_preset(str(tiny.gpt2))
    preprocessor.sequence_length = length
    text = f"""
title = ""
summary = ""
task = "completion-lm"
model = {{ preset = "{tiny.gpt2}", sequence_length = {length} }}
phase = [{{ name = "all", layers = ["train all"], epochs = 1, batch_size = 4, learning_rate = 0.1 }}]
[data]
source = "{source}"
"""
    made = recipe.parse(text + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    return encode_splits(made, data.read(made), preprocessor, lambda *message: None)


def test_each_row_begins_as_generation_does_and_its_targets_are_the_completion(tiny: Tiny) -> None:
    preprocessor = keras_hub.models.CausalLMPreprocessor.from_preset(str(tiny.gpt2))
    tokenizer = preprocessor.tokenizer
    exchanges = (Exchange("the cat?", " the"), Exchange("\nb?", "the c"))
    ((tokens, learned),) = encode_rows([exchanges], tokenizer)
    end = tokenizer.end_token_id
    asked = preprocessor.generate_preprocess(["the cat?"], sequence_length=20)
    begun = np.asarray(asked["token_ids"])[0][np.asarray(asked["padding_mask"])[0].astype(bool)]
    assert tokens[: len(begun)].tolist() == begun.tolist()
    assert not learned[: len(begun)].any()
    answers = [*tokenizer(" the").tolist(), end, *tokenizer("the c").tolist(), end]
    assert tokens[learned].tolist() == answers
    assert tokenizer.detokenize(tokens[1:-1].tolist()).replace("<|endoftext|>", "|") == "the cat? the|\nb?the c"


def test_examples_are_padded_and_their_targets_are_shifted(tiny: Tiny) -> None:
    splits = encode(tiny, f"jsonl:{tiny.pairs}", 16)
    train = splits.train
    assert isinstance(train, EncodedCompletions)
    indices = np.array([3, 0, 7])
    inputs, targets = train.make_inputs(indices, None), train.get_targets(indices)
    assert inputs["token_ids"].shape == inputs["padding_mask"].shape == targets.shape
    assert inputs["padding_mask"].sum(axis=1).tolist() == train.lengths[indices].tolist()
    tokenizer = keras_hub.models.CausalLMPreprocessor.from_preset(str(tiny.gpt2)).tokenizer
    for row, index in enumerate(indices):
        prompt, completion = train.read_example(int(index))
        counted = targets[row] != IGNORED
        assert targets[row][counted].tolist() == [*tokenizer(completion).tolist(), tokenizer.end_token_id]
        assert counted.argmax() == len(tokenizer(prompt))
        assert not (counted & ~inputs["padding_mask"][row]).any()
        shifted = counted[:-1] & inputs["padding_mask"][row, 1:]
        assert inputs["token_ids"][row, 1:][shifted].tolist() == targets[row, :-1][shifted].tolist()
    assert splits.notes == ()


def test_cut_completions_are_told_and_prompts_without_room_refused(tiny: Tiny, tmp_path: Path) -> None:
    rows = [{"prompt": "ab", "completion": "c" * 3 + str(at)} for at in range(18)]
    rows += [{"prompt": "ab", "completion": "c" * 20}, {"prompt": "d" * 9, "completion": "e"}]
    table = tmp_path / "a.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(RecipeError) as error:
        encode(tiny, f"jsonl:{table}", 8)
    said = str(error.value)
    assert "the prompt of 1 example fills all 8 tokens" in said
    assert "line 20" in said
    assert "--set model.sequence_length=23" in said
    assert "--set data.skip_incomplete=true" in said
    splits = encode(tiny, f"jsonl:{table}", 8, skip_incomplete=True)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 19
    assert "1 example left out, whose prompt fills 8 tokens: line 20" in splits.notes
    assert any(note.startswith("completions of 1 example are cut at 8 tokens; the longest") for note in splits.notes)


def test_the_boundary_between_prompt_and_completion_decides_the_hash(tiny: Tiny, tmp_path: Path) -> None:
    hashes = []
    for prompt, completion in (("abc", "d"), ("ab", "cd"), ("abc", "d")):
        table = tmp_path / "a.jsonl"
        rows = [{"prompt": prompt, "completion": completion + str(at)} for at in range(10)]
        table.write_text("\n".join(map(json.dumps, rows)))
        hashes.append(encode(tiny, f"jsonl:{table}", 16).train.hash_examples(np.arange(4), None))
    assert hashes[0] == hashes[2]
    assert not set(hashes[0]) & set(hashes[1])
