"""Precision by what the hardware is worth, and the same for all runs on one machine."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import pytest

from ftapp.common import user_folders
from ftapp.models import backend


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(("speed", "expected"), [(1.9, "bfloat16"), (1.1, "float32"), (0.6, "float32")])
def test_auto_takes_bfloat16_where_it_is_faster(monkeypatch: pytest.MonkeyPatch, speed: float, expected: str) -> None:
    monkeypatch.setattr(backend, "_native_bfloat16", lambda: "the processor")
    monkeypatch.setattr(backend, "_measure_bfloat16_speed", lambda: speed)
    precision, reason = backend.choose_precision("auto")
    assert precision == expected
    assert f"at {speed} times the speed of float32" in reason
    # Kept: a second probe, on a busier machine, has no say.
    monkeypatch.setattr(backend, "_measure_bfloat16_speed", lambda: 3.0 - speed)
    assert backend.choose_precision("auto") == (precision, reason)
    assert len(list(user_folders.cache().glob("bfloat16-*.kept"))) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"1.9", b"null", b"\xff" * 40, bytes(40), b"[" * 100_000, b"0" * 32 + b"\n0.1", "flipped", "folder"],
)
def test_a_damaged_result_of_the_probe_is_measured_anew_and_said(
    content: bytes | str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backend, "_measure_bfloat16_speed", lambda: 1.5)
    assert backend._find_bfloat16_speed() == 1.5
    (file,) = user_folders.cache().glob("bfloat16-*.kept")
    if content == "folder":
        file.unlink()
        file.mkdir()
    elif isinstance(content, str):
        file.write_bytes(file.read_bytes().replace(b"1.5", b"0.5"))
    else:
        file.write_bytes(content)
    monkeypatch.setattr(backend, "_measure_bfloat16_speed", lambda: 1.6)
    assert backend._find_bfloat16_speed() == 1.6
    assert "computed again" in caplog.text
    if content != "folder":
        monkeypatch.setattr(backend, "_measure_bfloat16_speed", lambda: 1.7)
        assert backend._find_bfloat16_speed() == 1.6


def test_all_who_ask_at_once_get_the_result_of_one_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = itertools.count(1)
    everyone = threading.Barrier(4)

    def probe() -> float:
        time.sleep(0.1)  # long enough for the others to come
        return float(next(speeds))

    def ask(_: int) -> float:
        everyone.wait()
        return backend._find_bfloat16_speed()

    monkeypatch.setattr(backend, "_measure_bfloat16_speed", probe)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [1.0] * 4


def test_auto_takes_float32_without_hardware_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_native_bfloat16", lambda: None)
    assert backend.choose_precision("auto")[0] == "float32"


def test_the_recipe_has_the_last_word() -> None:
    assert backend.choose_precision("bfloat16") == ("bfloat16", "as the recipe says")
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_the_probe_times_this_machine() -> None:
    assert 0.01 < backend._measure_bfloat16_speed() < 100


def test_other_work_on_the_machine_does_not_change_what_the_probe_finds() -> None:
    idle = [(0.018, 0.010)] * 9
    # Other work takes turns: it disturbs most products in bfloat16, then most in float32.
    for disturbed in (0, 1):
        busy = [list(times) for times in idle]
        for times in busy[:7]:
            times[disturbed] *= 2
        assert backend.compare_times([(first, second) for first, second in busy]) == pytest.approx(1.8)
