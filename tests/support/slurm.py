"""A Slurm cluster of one machine with one processor: the real slurmctld and slurmd, as children of the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.processes import end_daemons, find_ports, start_daemon, wait_for

_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={work}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 RealMemory=1000
PartitionName=tiny Nodes=ALL Default=YES State=UP
"""
_COMMANDS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue")


def find_missing() -> str | None:
    """Find why no cluster can be started here; None where one can."""
    if missing := [name for name in _COMMANDS if shutil.which(name) is None]:
        return f"{missing[0]} is not installed: apt-get install slurm-wlm"
    return None if os.geteuid() == 0 else "slurmd starts jobs as root"


@contextmanager
def start_cluster(folder: Path) -> Iterator[Path]:
    """Start the daemons, and end them after the context. Yields the configuration, for SLURM_CONF."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host, (control, work) = socket.gethostname().partition(".")[0], find_ports(2)
    configuration = folder / "slurm.conf"
    configuration.write_text(_CONFIGURATION.format(host=host, control=control, work=work, folder=folder))
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    with ExitStack() as stack:
        commands = (["slurmctld", "-D", "-c"], ["slurmd", "-D", "-N", host])
        stack.callback(
            end_daemons, [start_daemon(command, environment, folder / f"{command[0]}.txt") for command in commands]
        )

        def is_idle() -> bool:
            command = ["sinfo", "--noheader", "--format", "%T"]
            found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            return found.stdout.strip() == "idle"

        wait_for(is_idle)
        yield configuration
        wait_for(is_idle)  # a job's own processes wait for the daemons, which end next
