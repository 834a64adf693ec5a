"""The launcher of a target, and the target that a run gets."""

from __future__ import annotations

from ftapp.launchers.target import LOCAL, LaunchTarget, parse_target
from ftapp.runs.launcher import Launcher, LocalLauncher
from ftapp.runs.run_folder import RunFolder


def choose_target(on: str | None, former: str | None = None) -> LaunchTarget:
    """Choose where a run goes.

    Args:
        on: What `--on` says; None where it was not given.
        former: Where the run went before; None for a new one.

    Returns:
        The target of `on`, else the former one, else that of the user's settings, else this machine. It was checked.

    Raises:
        RecipeError: It is no target, cannot be reached from here, or the settings are wrong.
        RunError: The user has no home folder.
    """
    from ftapp.recipe.user_settings import load_settings  # here, since it is Pydantic's, which not all commands need

    settings = load_settings().launch
    text = on or former or settings.on
    target = parse_target(text, settings.targets) if text else LOCAL
    check_target(target)
    return target


def find_former(run: RunFolder) -> str | None:
    """Find where a run was sent last; None where it was never sent to another machine.

    Args:
        run: The run.
    """
    entry = run.leases.find_newest()
    return entry.lease.target if entry else None


def check_target(target: LaunchTarget) -> None:
    """Check that a target can be reached from here.

    Raises:
        RecipeError: It cannot.
    """
    if target.kind == "slurm":
        from ftapp.launchers.slurm import check_slurm

        check_slurm(target)
    elif target.kind == "ray":
        from ftapp.launchers.ray import check_ray

        check_ray(target)


def make_launcher(target: LaunchTarget = LOCAL) -> Launcher:
    """Make what starts runs at a target.

    Args:
        target: The target.
    """
    if target.kind == "local":
        return LocalLauncher()
    from ftapp.launchers.remote import RemoteLauncher

    if target.kind == "slurm":
        from ftapp.launchers.slurm import SlurmEngine

        return RemoteLauncher(target, SlurmEngine(target))
    from ftapp.launchers.ray import RayEngine

    return RemoteLauncher(target, RayEngine(target))
