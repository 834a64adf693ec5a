"""`ftapp push`: exports with model cards, sent to hubs on this machine by the hubs' own libraries."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, constants
from kagglehub import clients
from kagglesdk import kaggle_env
from typer.testing import CliRunner, Result

from ftapp.cli import app
from ftapp.common.errors import RunError
from ftapp.publishing import hugging_face
from ftapp.publishing.targets import HuggingFaceTarget
from ftapp.runs.run_folder import RunFolder
from tests.support import recipes
from tests.support.exports import save_run
from tests.support.model_hubs import LARGE, ModelHub
from tests.support.presets import Tiny

TOKEN = "hf_a_token_that_nobody_sees"


@pytest.fixture(scope="module")
def saved(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a model that has not been trained."""
    return save_run(recipes.text_recipe(tiny), tmp_path_factory.mktemp("pushed"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelHub]:
    """A hub. It speaks LFS and not Xet, in place of which the library takes LFS where Xet is disabled."""
    with ModelHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.TEST, server.address)
        # Before each request it looks for names of libraries in all calls that lead there, which are many in a test.
        monkeypatch.setattr(clients, "get_user_agent", lambda: "kagglehub")
        monkeypatch.setenv("HOME", str(tmp_path))
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
            monkeypatch.delenv(name, raising=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


pytestmark = pytest.mark.usefixtures("quickly_started")


def push(run: RunFolder, *arguments: str) -> Result:
    return CliRunner().invoke(app.app, ["push", str(run.folder), *arguments, "--examples", "0"])


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_of_the_export_are_sent_to_hugging_face_with_the_card(
    saved: RunFolder, hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    done = push(saved, "hf://owner/reviews", "--private", "--license", "apache-2.0", "-m", "Better")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"{hub.address}/owner/reviews"
    sent = hub.files["owner/reviews", "main"]
    assert sent == read_files(saved.folder / "export" / "keras-hub")
    assert {"README.md", "labels.json", "predict.py", "model.weights.h5"} <= sent.keys()
    assert len(sent["model.weights.h5"]) >= LARGE  # so it went through LFS
    assert sent["model.weights.h5"] in hub.large.values()
    assert hub.made["owner/reviews"]["visibility"] == "private"
    assert hub.messages == ["Better"]
    assert hub.tokens - {""} == {f"Bearer {TOKEN}"}
    card = ModelCard(sent["README.md"].decode())
    expected = {"library_name": "keras-hub", "license": "apache-2.0", "pipeline_tag": "text-classification"}
    assert {name: card.data.get(name) for name in expected} == expected
    assert "python predict.py" in card.text
    assert "ftapp.load_model" not in card.text
    again = push(saved, "hf://owner/reviews", "--revision", "small")
    assert again.stdout.splitlines()[-1] == f"{hub.address}/owner/reviews/tree/small"
    assert hub.files["owner/reviews", "small"].keys() == sent.keys()
    assert TOKEN not in done.output + again.output


def test_a_dry_run_shows_the_files_and_the_header_and_asks_nobody(saved: RunFolder, hub: ModelHub) -> None:
    done = push(saved, "hf://owner/reviews", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "library_name: keras-hub" in done.stdout
    files = read_files(saved.folder / "export" / "keras-hub")
    assert all(name in done.stdout for name in files)
    assert b"`csv:reviews.csv`" in files["README.md"]  # without the folders of this machine
    assert not any(str(saved.folder.parent).encode() in content for content in files.values())
    kaggle = push(saved, "kaggle://owner/reviews/keras/base", "--dry-run", "--json")
    result = json.loads(kaggle.stdout.splitlines()[-1])
    assert result["files"] == {name: len(content) for name, content in files.items()}
    assert (result["target"], result["address"]) == ("kaggle://owner/reviews/keras/base", None)
    assert hub.requests == []


def test_all_files_of_the_export_are_sent_to_kaggle(
    saved: RunFolder, hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    done = push(saved, "kaggle://owner/reviews/keras/base", "--license", "Apache 2.0", "-m", "Better")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith("/models/owner/reviews/keras/base")
    assert hub.made["owner/reviews"]["isPrivate"] is True
    files = read_files(saved.folder / "export" / "keras-hub")
    assert sorted(hub.blobs.values()) == sorted((Path(name).name, content) for name, content in files.items())
    [version] = hub.versions
    assert version["body"]["licenseName"] == "Apache 2.0"
    again = push(saved, "kaggle://owner/reviews/keras/base", "-m", "Better still")
    assert again.exit_code == 0, again.output
    assert hub.versions[1]["body"]["versionNotes"] == "Better still"
    assert TOKEN not in done.output + again.output


@pytest.mark.parametrize(
    ("status", "refused", "message"),
    [
        (401, "whoami", "Hugging Face does not accept the token; log in by `hf auth login`"),
        (403, "create", "Hugging Face does not let this token write to hf://owner/reviews; take one with the right"),
        (413, "commit", "a file is too large for Hugging Face"),
        (404, "preupload", "Hugging Face does not know hf://owner/reviews, or hides it from this token"),
        (400, "commit", "Hugging Face refused hf://owner/reviews with status 400"),
    ],
)
def test_what_the_hub_refuses_is_said_in_words_without_the_token(
    saved: RunFolder, hub: ModelHub, monkeypatch: pytest.MonkeyPatch, status: int, refused: str, message: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.status, hub.refused = status, refused
    target = HuggingFaceTarget("owner/reviews")
    ask: Callable[[], object] = lambda: hugging_face.push(target, saved.model_folder, "x")  # noqa: E731
    if refused == "whoami":
        ask = lambda: hugging_face.check_login(target)  # noqa: E731
    with pytest.raises(RunError) as caught:
        ask()
    assert message in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_push_without_a_token_or_a_network_ends_before_the_export(
    saved: RunFolder, hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(saved.folder / "export", ignore_errors=True)
    for target, message in {
        "hf://owner/reviews": "there is no token for Hugging Face; log in by `hf auth login`, or set HF_TOKEN",
        "kaggle://owner/reviews/keras/base": "there is no token for Kaggle; set KAGGLE_API_TOKEN",
    }.items():
        done = push(saved, target)
        assert (done.exit_code, done.stdout) == (1, "")
        assert message in done.stderr
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = push(saved, "hf://owner/reviews")
    assert done.exit_code == 1
    assert "hf://owner/reviews comes from 127.0.0.1, which" in done.stderr
    for arguments, message in {
        ("owner/reviews",): "did you mean 'hf://owner/reviews'?",
        ("kaggle://a/b/kerras/c", "--dry-run"): "Kaggle has no framework 'kerras'; did you mean 'keras'?",
        ("kaggle://a/b/keras/c", "--revision", "x"): "--revision is a branch on Hugging Face",
        ("hf://a/b", "--int8"): "int8",
    }.items():
        done = push(saved, *arguments)
        assert done.exit_code == 2, done.output
        assert message in done.stderr
    assert not (saved.folder / "export").exists()
