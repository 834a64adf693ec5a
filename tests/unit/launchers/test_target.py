"""Targets as `--on` takes them."""

from __future__ import annotations

import pytest

from ftapp.common.errors import RecipeError
from ftapp.launchers.choose import choose_target
from ftapp.launchers.target import parse_target
from ftapp.recipe.user_settings import find_settings_file

NAMES = {"big": "slurm:gpu?time=8h&gpus=4"}


@pytest.mark.parametrize(
    ("text", "kind", "place", "options"),
    [
        ("local", "local", "", {}),
        ("slurm", "slurm", "", {}),
        ("slurm:gpu?time=2h&gpus=1&mem=16G", "slurm", "gpu", {"time": "2h", "gpus": "1", "mem": "16G"}),
        ("slurm?account=a%26b", "slurm", "", {"account": "a&b"}),
        ("ray://head", "ray", "ray://head:10001", {}),
        ("ray:head:6379", "ray", "head:6379", {}),
        ("ray://10.0.0.1:20001?gpus=0.5", "ray", "ray://10.0.0.1:20001", {"gpus": "0.5"}),
        ("big", "slurm", "gpu", {"time": "8h", "gpus": "4"}),
    ],
)
def test_targets(text: str, kind: str, place: str, options: dict[str, str]) -> None:
    found = parse_target(text, NAMES)
    assert (found.kind, found.place, found.options) == (kind, place, options)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slrum:gpu", "there is no target 'slrum:gpu'; did you mean 'slurm:gpu'?"),
        ("ray:head", "did you mean 'ray://head'?"),
        ("bigg", "did you mean 'big'?"),
        ("kubernetes", "choose from 'local', 'slurm:PARTITION', 'ray://HOST', 'big'"),
        ("ray://head:port", "'head:port' is no HOST or HOST:PORT"),
        ("slurm:gpu?tme=2h", "there is no option 'tme' of slurm; did you mean 'time'?"),
        ("slurm:gpu?time=soon", "time: "),
        ("slurm:gpu?time=30s", "time: '30s' is too short; Slurm counts in minutes, and the least is 1m"),
        ("slurm:gpu?time=30m&warning=30m", "warning: '30m' is not shorter than the job, 30m"),
        ("slurm?warning=2h", "warning: '2h' is not shorter than the job, 1h"),
        ("slurm?cpus=1&cpus=2", "the option 'cpus' stands twice"),
        ("ray://head?shared=maybe", "shared: 'maybe' is neither yes nor no"),
        ("slurm:gpu?gpus=two", "gpus: 'two' is no whole number"),
        ("ray://head?mem=16", "mem: '16' is no size; a size has a unit, such as 16G"),
        ("slurm:gpu?account=", "account: a value is missing"),
        ("local?gpus=1", "there is no option 'gpus' of local; a run on this machine takes none"),
    ],
)
def test_a_wrong_target_is_refused_with_the_nearest(text: str, says: str) -> None:
    with pytest.raises(RecipeError) as raised:
        parse_target(text, NAMES)
    assert str(raised.value).startswith(f"--on {text}: ")
    assert says in str(raised.value)


def test_a_run_goes_where_it_is_sent_then_where_it_was_then_where_the_settings_say() -> None:
    assert choose_target(None).kind == "local"
    file = find_settings_file()
    file.parent.mkdir(parents=True)
    file.write_text('[launch]\non = "here"\ntargets = { here = "local", away = "slurm:none" }\n')
    assert choose_target(None).text == "local"
    with pytest.raises(RecipeError, match="away"):
        choose_target(None, "away?x=1")
    assert choose_target("local", "away").kind == "local"
    file.write_text("[launch]\nonn = 3\n")
    with pytest.raises(RecipeError, match="did you mean 'on'"):
        choose_target(None)
