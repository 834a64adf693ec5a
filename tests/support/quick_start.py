"""The process that stands for a fork of `tests.support.quick_starts`.

python -I -S quick_start.py SOCKET MODULE ARGUMENTS

It is started often, so it imports little.
"""

# ruff: noqa: PTH109, PTH110, PTH208

import json
import os
import signal
import socket
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGQUIT)


def main() -> None:
    """Have a module run in a fork, and end as it does."""
    address, module, *arguments = sys.argv[1:]
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    files = [int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(address)
    request = {
        "module": module,
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "mask": sorted(map(int, mask)),
        "files": files,
    }
    socket.send_fds(connection, [json.dumps(request).encode()], files)
    for file in files:
        if file > 2:
            os.close(file)
    for number in SIGNALS:
        signal.signal(number, lambda number, _: connection.send(str(int(number)).encode()))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    code = int(connection.recv(8) or b"1")
    if code >= 0:
        os._exit(code)
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


main()
