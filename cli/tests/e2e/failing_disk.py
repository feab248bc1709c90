"""Runs a program for which some files cannot be read from a byte on: a disk that fails there.

    failing_disk.py MANNER FROM FILE… -- PROGRAM [ARGUMENT…]

MANNER is `eio`, or `short`: the file ends there, though it says that it is longer. Over each file one is
mounted that is otherwise the same, and can be written. To be run as root, in a namespace of mounts.
"""

import ctypes
import errno
import os
import signal
import struct
import subprocess
import sys
import threading

FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE = 2, 3, 4, 14, 15, 16, 17, 18
FSYNC, FLUSH, INIT = 20, 25, 26
HEADER = 40
FULL_SIZE = 1 << 3


class File:
    """A file, and from where on it fails."""

    def __init__(self, path, manner, start):
        self.real = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.manner, self.start = manner, start
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        stat = os.fstat(self.real)
        who = f"user_id={stat.st_uid},group_id={stat.st_gid},allow_other"
        options = f"fd={self.device},rootmode={stat.st_mode:o},{who}"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"none", path.encode(), b"fuse.failing", 0, options.encode()):
            raise OSError(ctypes.get_errno(), f"cannot mount over {path}")

    def attributes(self):
        stat = os.fstat(self.real)
        blocks, size = (stat.st_size + 511) // 512, stat.st_size
        return struct.pack("<QII6Q10I", 0, 0, 0, stat.st_ino, size, blocks, *[0] * 6, stat.st_mode, 1, stat.st_uid, stat.st_gid, 0, 4096, 0)

    def read(self, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        if self.manner == "eio" and offset + size > self.start:
            raise OSError(errno.EIO, "as was asked")
        if self.manner == "short":
            size = max(0, min(size, self.start - offset))
        return os.pread(self.real, size, offset)

    def write(self, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(self.real, body[40 : 40 + size], offset), 0)

    def set_attributes(self, body):
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        if valid & FULL_SIZE:
            os.ftruncate(self.real, size)
        return self.attributes()

    def answer(self, operation, body):
        answers = {
            INIT: lambda: struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 12, 10, 65536, 1, 0, 0, *[0] * 8),
            GETATTR: self.attributes,
            SETATTR: lambda: self.set_attributes(body),
            OPEN: lambda: bytes(16),
            READ: lambda: self.read(body),
            WRITE: lambda: self.write(body),
            STATFS: lambda: struct.pack("<5Q4I24x", *[1 << 20] * 5, 4096, 255, 4096, 0),
            RELEASE: bytes,
            FSYNC: bytes,
            FLUSH: bytes,
        }
        if operation not in answers:
            raise OSError(errno.ENOSYS, "not known here")
        return answers[operation]()

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 18)
            except OSError:
                return
            _, operation, unique = struct.unpack_from("<IIQ", request)
            if operation == FORGET:
                continue
            try:
                error, data = 0, self.answer(operation, request[HEADER:])
            except OSError as failed:
                error, data = -failed.errno, b""
            os.write(self.device, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


def main():
    manner, start, *rest = sys.argv[1:]
    end = rest.index("--")
    for path in rest[:end]:
        file = File(path, manner, int(start))
        threading.Thread(target=file.serve, daemon=True).start()
    status = subprocess.run(rest[end + 1 :], check=False).returncode
    # What a shell would say of a signal.
    sys.exit(status if status >= 0 else 128 - status)


signal.signal(signal.SIGPIPE, signal.SIG_DFL)
main()
