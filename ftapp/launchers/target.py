"""Targets: where a run is sent, as `--on` says it.

`local` is this machine. `slurm:PARTITION` is a partition of Slurm, `slurm` its usual one. `ray://HOST:PORT` is a Ray
cluster by its server for clients, `ray:HOST:PORT` one that this machine belongs to. Options of the job follow a
question mark: `slurm:gpu?time=8h&gpus=1`. Any other word is a name that the user has given a target in `settings.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from ftapp.common.durations import parse_duration
from ftapp.common.errors import Problem, RecipeError, suggest_nearest

Kind = Literal["local", "slurm", "ray"]

_FORMS = ("local", "slurm:PARTITION", "ray://HOST")
JOB_TIME = "1h"
"""The limit of a job of Slurm whose target names none."""
_CLIENT_PORT, _CLUSTER_PORT = 10001, 6379  # of what `ray start --head` starts: the server for clients, the store


@dataclass(frozen=True)
class LaunchTarget:
    """Where a run is sent.

    Attributes:
        kind: What starts its process.
        place: The partition, "" for the usual one; or the address of a Ray cluster, as `ray.init` takes it.
        options: Values of the job by name, as text.
        text: The whole as `--on` takes it.
    """

    kind: Kind = "local"
    place: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    text: str = "local"

    @property
    def has_shared_disk(self) -> bool:
        """Whether its machines see the folder of runs."""
        return self.options.get("shared") != "no"


LOCAL = LaunchTarget()


def _check_count(text: str) -> None:
    if not text.isdecimal():
        raise ValueError(f"'{text}' is no whole number")


def _check_share(text: str) -> None:
    if not (text.replace(".", "", 1).isdecimal() and float(text) >= 0):
        raise ValueError(f"'{text}' is no number of 0 or more")


def _check_time(text: str) -> None:
    if parse_duration(text) < 60:
        raise ValueError(f"'{text}' is too short; Slurm counts in minutes, and the least is 1m")


def _check_seconds(text: str) -> None:
    parse_duration(text)


def _check_memory(text: str) -> None:
    if not re.fullmatch(r"\d+[KMGT]B?", text):
        raise ValueError(f"'{text}' is no size; a size has a unit, such as 16G")


def _check_answer(text: str) -> None:
    if text not in ("yes", "no"):
        raise ValueError(f"'{text}' is neither yes nor no")


def _check_text(text: str) -> None:
    if not text or not text.isprintable():
        raise ValueError("a value is missing" if not text else "a value has characters that cannot be printed")


_COMMON: dict[str, Callable[[str], None]] = {
    "cpus": _check_count,
    "gpus": _check_count,
    "mem": _check_memory,
    "retries": _check_count,
}
_OPTIONS: dict[Kind, dict[str, Callable[[str], None]]] = {
    "local": {},
    "slurm": {
        **_COMMON,
        "time": _check_time,
        "warning": _check_seconds,
        **dict.fromkeys(("account", "qos", "constraint", "reservation", "nodelist", "exclude", "gres"), _check_text),
    },
    "ray": {**_COMMON, "gpus": _check_share, "shared": _check_answer},
}


def parse_target(text: str, names: Mapping[str, str] | None = None) -> LaunchTarget:
    """Parse a target.

    Args:
        text: The value of `--on`.
        names: The user's own names of targets.

    Raises:
        RecipeError: It is no target; the error names the nearest.
    """
    names = names or {}
    if text in names:
        return parse_target(names[text])
    base, _, query = text.partition("?")
    kind: Kind
    if base == "local":
        kind, place = "local", ""
    elif base == "slurm" or base.startswith("slurm:"):
        kind, place = "slurm", base[6:]
    elif base.startswith("ray://") and len(base) > len("ray://"):
        kind, place = "ray", f"ray://{_complete_address(base.removeprefix('ray://'), _CLIENT_PORT, text)}"
    elif base.startswith("ray:") and base.count(":") == 2:
        kind, place = "ray", _complete_address(base.removeprefix("ray:"), _CLUSTER_PORT, text)
    else:
        raise make_target_error(text, _explain_unknown(base, names))
    return LaunchTarget(kind, place, _parse_options(kind, query, text), text)


def _complete_address(address: str, usual: int, text: str) -> str:
    host, colon, port = address.rpartition(":")
    if not colon:
        return f"{address}:{usual}"
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise make_target_error(text, f"'{address}' is no HOST or HOST:PORT; for example head:{usual}")
    return address


def _parse_options(kind: Kind, query: str, text: str) -> dict[str, str]:
    known, found = _OPTIONS[kind], dict[str, str]()
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name not in known:
            rule = suggest_nearest(name, known) if known else "a run on this machine takes none"
            raise make_target_error(text, f"there is no option '{name}' of {kind}; {rule}")
        try:
            known[name](value := unquote(value))
        except ValueError as error:
            raise make_target_error(text, f"{name}: {error}") from error
        if name in found:
            raise make_target_error(text, f"the option '{name}' stands twice; each option stands once")
        found[name] = value
    if "warning" in found and parse_duration(found["warning"]) >= parse_duration(limit := found.get("time", JOB_TIME)):
        message = f"warning: '{found['warning']}' is not shorter than the job, {limit}, which would end as it begins"
        raise make_target_error(text, message)
    return found


def _explain_unknown(base: str, names: Mapping[str, str]) -> str:
    word, colon, rest = base.partition(":")
    nearest = suggest_nearest(word, ["local", "slurm", "ray", *names])
    if nearest.startswith("did you mean 'slurm'") and colon:
        nearest = f"did you mean 'slurm:{rest}'?"
    elif nearest.startswith("did you mean 'ray'"):
        nearest = f"did you mean 'ray://{rest.lstrip('/') or 'HOST'}'?"
    elif not nearest.startswith("did you mean"):
        nearest = "choose from " + ", ".join(f"'{each}'" for each in (*_FORMS, *names))
    return f"there is no target '{base}'; {nearest}"


def make_target_error(text: str, message: str) -> RecipeError:
    """Make the error of a target.

    Args:
        text: The target, as `--on` takes it.
        message: What is wrong with it.
    """
    return RecipeError([Problem("", f"--on {text}", message)])
