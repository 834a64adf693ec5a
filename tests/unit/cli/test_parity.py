"""`ftapp parity` refuses what cannot be compared, before it starts a process."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.common.errors import HubError
from ftapp.recipe import Recipe
from ftapp.rpc.inspector_client import InspectorClient


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backends", "tensorflow"], "a comparison takes two; try tensorflow,jax"),
        (["--backends", "tensorflow,jaxx"], "there is no backend 'jaxx'; did you mean 'jax'?"),
        (["--arm", "A"], "there is no arm 'A'"),
        (["--set", "phase.head.epoch=3"], "did you mean 'epochs'?"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app.app, ["parity", "vgg16-feature-extractor", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_backends_that_are_missing_come_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftapp.cli.backend_trials.is_installed", lambda name: name == "tensorflow")
    for arguments in ([], ["--backends", "tensorflow,torch"]):
        done = CliRunner().invoke(app.app, ["parity", "vgg16-feature-extractor", *arguments])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "pip install -e '.[torch]'" in done.stderr


def test_weights_that_cannot_be_fetched_end_the_comparison_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def fail(client: InspectorClient, tried: Recipe, *_: object, **__: object) -> None:
        asked.append(tried.backend)
        raise HubError("the preset 'vgg_16_imagenet' cannot be fetched")

    monkeypatch.setattr(InspectorClient, "run_trial", fail)
    monkeypatch.setattr("ftapp.cli.backend_trials.is_installed", lambda name: True)
    done = CliRunner().invoke(app.app, ["parity", "vgg16-feature-extractor"])
    assert (done.exit_code, done.stdout, asked) == (1, "", ["tensorflow"])
    assert "'vgg_16_imagenet' cannot be fetched; '--profile quick' works without it" in done.stderr
