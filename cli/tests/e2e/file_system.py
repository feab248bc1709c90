"""Mounts a file system with one empty directory in it, which is itself, as the kind given, and runs a program.

    file_system.py DIRECTORY KIND PROGRAM [ARGUMENT…]
"""

import ctypes
import errno
import os
import struct
import subprocess
import sys
import threading

FORGET, GETATTR, STATFS, INIT = 2, 3, 17, 26


def mount(where, kind):
    """The device that its requests come from."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40700,user_id=0,group_id=0"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", where.encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"cannot mount {kind}")
    return device


def serve(device):
    """Answers what is asked of the directory, and that there is nothing else."""
    directory = struct.pack("<6Q10I", 1, *[0] * 5, *[0] * 3, 0o40700, 2, 0, 0, 0, 4096, 0)
    answers = {
        INIT: struct.pack("<4I2H2I2H8I", 7, 31, 65536, 0, 12, 10, 4096, 1, 0, 0, *[0] * 8),
        GETATTR: struct.pack("<QII", 0, 0, 0) + directory,
        STATFS: struct.pack("<5Q4I24x", *[1 << 20] * 5, 4096, 255, 4096, 0),
    }
    while True:
        try:
            _, operation, unique = struct.unpack("<IIQ", os.read(device, 1 << 17)[:16])
        except OSError:
            return
        if operation == FORGET:
            continue
        data = answers.get(operation, b"")
        error = 0 if operation in answers else -errno.ENOSYS
        os.write(device, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


def main():
    where, kind, *command = sys.argv[1:]
    threading.Thread(target=serve, args=[mount(where, kind)], daemon=True).start()
    sys.exit(subprocess.run(command, check=False).returncode)


main()
