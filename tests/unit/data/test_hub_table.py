"""Data sets of Hugging Face: their files, configurations, splits and revisions, and what a hub refuses."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from ftapp import data, recipe
from ftapp.common.errors import HubError, RecipeError
from ftapp.data import hub_table
from ftapp.data.examples import Texts
from ftapp.recipe import Data, sources
from ftapp.runs import run_creation
from ftapp.workers import run as run_worker
from tests.support.data_hub import DataHub
from tests.support.presets import Tiny
from tests.support.recipes import text_recipe

CONVERTED = "refs/convert/parquet"


def rows(*texts: str) -> bytes:
    """A Parquet file, with the names of its classes as Hugging Face writes them."""
    features = b'{"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}'
    made = pyarrow.table({"text": texts, "label": [number % 2 for number in range(len(texts))]})
    file = io.BytesIO()
    parquet.write_table(made.replace_schema_metadata({b"huggingface": features}), file)
    return file.getvalue()


def table(*texts: str) -> bytes:
    """The same rows as CSV."""
    lines = [f"{text},{'good' if at % 2 else 'bad'}\n" for at, text in enumerate(texts)]
    return "".join(["text,label\n", *lines]).encode()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataHub]:
    with DataHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def read(name: str) -> Texts:
    found = data.read_examples(Data(source=f"hf:{name}"), "text-classification")
    assert isinstance(found, Texts)
    return found


def list_texts(found: Texts) -> list[str]:
    return [found[index] for index in range(len(found))]


def test_converted_files_are_read_with_their_splits_and_class_names(hub: DataHub) -> None:
    commit = hub.commit(
        CONVERTED,
        {
            "plain/train/0000.parquet": rows("a", "b"),
            "plain/train/0001.parquet": rows("c", "d"),
            "plain/test/0000.parquet": rows("e", "f"),
            "plain/unsupervised/0000.parquet": rows("g"),
            "README.md": b"",
        },
    )
    hub.commit("main", {"data.csv": table("x", "y")})
    found = read("owner/name")
    assert sorted(list_texts(found)) == list("abcdef")
    assert found.classes == ("bad", "good")
    assert found.given_split is not None
    assert {text for text, split in zip(list_texts(found), found.given_split, strict=True) if split} == {"e", "f"}
    assert found.notes[0] == f"revision {commit[:12]} of owner/name on Hugging Face"
    asked = len(hub.requests)
    assert len(read(f"owner/name@{commit}")) == 6
    assert len(hub.requests) == asked, "a commit in the cache needs no hub"


def test_a_revision_selects_the_data_sets_own_files(hub: DataHub) -> None:
    hub.commit(CONVERTED, {"default/train/0.parquet": rows("a", "b")})
    hub.commit("v1", {"data/train-00000-of-00001.csv": table("x", "y"), "notes.txt": b"no table"})
    assert list_texts(read("owner/name@v1")) == ["x", "y"]


def test_a_data_set_without_a_conversion_is_read_from_its_own_files(hub: DataHub) -> None:
    hub.commit("main", {"train.csv": table("x", "y", "z"), "test.csv": table("v", "w")})
    found = read("owner/name")
    assert len(found) == 5
    assert found.given_split is not None


def test_one_of_several_configurations_is_named(hub: DataHub) -> None:
    hub.commit(CONVERTED, {f"{name}/train/0.parquet": rows(name, f"{name}2") for name in ("cola", "sst2")})
    assert list_texts(read("owner/name/sst2")) == ["sst2", "sst22"]
    with pytest.raises(RecipeError, match="has several configurations; a source names one: hf:owner/name/cola"):
        read("owner/name")
    with pytest.raises(RecipeError, match=r"has no configuration 'sst3'.*did you mean 'sst2'"):
        read("owner/name/sst3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("owner/other", "Hugging Face has no data set 'owner/other', or it is private; .* HF_TOKEN"),
        ("owner/name@v9", "'owner/name' has no revision 'v9'; a revision is a branch, a tag or a commit"),
        ("owner/name@notes", "'owner/name' has no Parquet, JSON lines or CSV files on Hugging Face"),
    ],
)
def test_what_the_hub_does_not_have_is_refused(hub: DataHub, name: str, message: str) -> None:
    hub.commit("main", {"train.csv": table("x", "y")})
    hub.commit("notes", {"README.md": b""})
    with pytest.raises(RecipeError, match=message):
        read(name)


def test_a_data_set_behind_an_agreement_says_how_to_get_it(hub: DataHub) -> None:
    hub.commit("main", {"train.csv": table("x", "y")})
    hub.gated = True
    with pytest.raises(HubError, match="asks for an agreement: accept it on the page of the data set, and log in"):
        read("owner/name")


def test_offline_the_newest_revision_of_the_cache_is_read(hub: DataHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.commit("main", {"train.csv": table("x", "y")})
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    with pytest.raises(HubError, match="with --offline everything comes from the cache"):
        read("owner/name")
    monkeypatch.delenv("FTAPP_OFFLINE")
    read("owner/name")
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    assert list_texts(read("owner/name")) == ["x", "y"]


def test_without_a_network_the_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"hf:owner/name comes from 127\.0\.0\.1, which cannot be reached"):
        read("owner/name")


def test_a_run_names_the_commit_that_it_reads(
    hub: DataHub, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hub.commit("main", {"train.csv": table("x", "y")})
    file = tmp_path / "recipe.toml"
    file.write_text(text_recipe(tiny))
    loaded = recipe.load(file, None, ["data.source=hf:owner/name?label=good"])
    run = run_creation.create(loaded, "tiny", None, tmp_path / "runs")
    pinned = run_worker._pin_data(run, loaded)
    hub.commit("main", {"train.csv": table("v", "w")})
    assert pinned.data.source == f"hf:owner/name@{first}?label=good"
    assert recipe.load(run.recipe_file).data.source == pinned.data.source
    assert hub_table.pin(pinned) is pinned


@pytest.mark.parametrize("name", ["imdb", "a/b/c/d", "owner/na me", "owner/name@", "/name", "../..", "a/b?c"])
def test_a_source_that_names_no_data_set_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no data set of Hugging Face; such a name is OWNER/NAME"):
        sources.parse(f"hf:{name}")
