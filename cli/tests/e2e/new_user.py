#!/usr/bin/env python3
"""new_user.py PACKAGE BASE DEBIAN.tar PAGE…: does what tutorials say as somebody would who has just installed Debian.

(as root) The root file system of DEBIAN.tar, which is of the minimal variant, becomes a machine of its own in mount and
process namespaces, with a user in it who has nothing but a home. What the pages install is installed there, from the
network; blocks that need root are run by root, and all others by the user, page after page. PACKAGE is the Debian package
of a release, or a program, of which one is made. BASE is the layout of base.sh: Docker Hub and registry.example are
a docker-registry on the loopback.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pages

USER = "you"
# Files without which names are not looked up and packages are not found as on this machine.
SETTINGS = ["/etc/resolv.conf", "/etc/hosts", "/etc/apt/apt.conf.d", "/etc/apt/sources.list", "/etc/apt/sources.list.d",
            "/etc/ssl/certs/ca-certificates.crt"]
# Variables that say how the network is reached.
PROXIES = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
# Enters the file system for good: in a mere chroot no user namespace can be made.
ENTER = """set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mkdir -p old
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs tmpfs tmp
pivot_root . old
umount -l /old
touch /run/entered
exec sleep infinity
"""


class Debian(pages.Machine):
    """A machine with a user, on which nothing is installed."""

    def __init__(self, world, root):
        self.world, self.root, self.home = world, root, f"/home/{USER}"
        self.service, self.registry = world.registry(root + ".registry")
        pages.write(f"{root}/etc/containers/registries.conf", self.mirror())
        self.as_root = False
        self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private",
                                         "sh", "-c", ENTER, "sh", root])
        deadline = time.monotonic() + 60
        while not os.path.exists(self.outside("/run/entered")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the file system cannot be entered")
            time.sleep(0.1)
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as children:
            self.first = children.read().split()[0]
        self.begin()

    def begin(self):
        """As after logging in."""
        self.directory = self.home
        self.environment = {"HOME": self.home, "USER": USER, "LANG": "C.UTF-8",
                            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def serves(self, block):
        self.as_root = block.needs.get("needs") == "root"
        return True

    def outside(self, path):
        return self.root + path

    def enter(self, words, directory):
        """The words of a command that runs in the machine."""
        return ["nsenter", f"--target={self.first}", "--mount", "--pid", "--root", f"--wdns={directory}", "--", *words]

    def shell(self, text):
        if self.as_root:
            proxies = [f"{name}={os.environ[name]}" for name in PROXIES if name in os.environ]
            words = ["env", "-i", "HOME=/root", f"PATH={self.environment['PATH']}", "DEBIAN_FRONTEND=noninteractive", *proxies,
                     "sh", "-euc", text.rsplit("\n", 1)[0]]
            directory = "/root"
        else:
            variables = [f"{name}={value}" for name, value in self.environment.items()]
            words, directory = ["runuser", "-u", USER, "--", "env", "-i", *variables, "sh", "-euc", text], self.directory
        return subprocess.run(self.enter(words, directory), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=pages.SECONDS, check=False, stdin=subprocess.DEVNULL)

    def file(self, path, text):
        super().file(path, text)
        self.check(["chown", "-R", f"{USER}:", self.home])

    def check(self, words):
        subprocess.run(self.enter(words, "/"), check=True, stdin=subprocess.DEVNULL)

    def end(self):
        super().end()
        self.process.kill()
        self.process.wait()


def prepare(tar, package, root):
    """A file system with the package in root's home, and with the settings of this machine's network."""
    os.mkdir(root)
    subprocess.run(["tar", "--extract", "--numeric-owner", "--directory", root, "--file", tar, "--exclude=./dev/*"], check=True)
    for path in filter(os.path.exists, SETTINGS):
        there = root + path
        os.makedirs(os.path.dirname(there), exist_ok=True)
        if os.path.isdir(path):
            shutil.copytree(path, there, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, there)
    os.makedirs(f"{root}/etc/containers", exist_ok=True)
    shutil.copy(package, f"{root}/root")


def packed(program, work):
    """A package of a program, as a release makes one of the program that is released."""
    version = subprocess.check_output([program, "version"], text=True).split()[1]
    folder, name = os.path.join(work, "package"), f"wythe_{version}_amd64.deb"
    os.makedirs(f"{folder}/DEBIAN")
    os.makedirs(f"{folder}/usr/bin")
    subprocess.run(["strip", "-o", f"{folder}/usr/bin/wythe", program], check=True)
    os.chmod(f"{folder}/usr/bin/wythe", 0o755)
    for place in (f"{pages.HERE}/packaging", f"{pages.HERE}/../../../packaging"):
        if os.path.exists(place):
            with open(f"{place}/debian/control", encoding="utf-8") as file:
                control = file.read()
    for name_of, value in (("version", version), ("architecture", "amd64"), ("installed-size", "1")):
        control = control.replace("{" + name_of + "}", value)
    pages.write(f"{folder}/DEBIAN/control", control)
    subprocess.run(["dpkg-deb", "-Znone", "--build", "--root-owner-group", folder, os.path.join(work, name)], check=True,
                   stdout=subprocess.DEVNULL)
    return os.path.join(work, name)


def run_pages(machine, paths):
    """What is wrong with the pages, and how much of them was run."""
    done, wrong = 0, []
    for path in paths:
        machine.begin()
        start = time.monotonic()
        with open(path, encoding="utf-8") as file:
            ran, reasons, problems = pages.run_page(machine, os.path.basename(path), file.read())
        print("\n".join(reasons + problems), end="\n" if reasons or problems else "")
        print(f"{os.path.basename(path)}: {ran} run in {time.monotonic() - start:.0f} s")
        done, wrong = done + ran, wrong + problems
    return done, wrong


def main():
    package, base, tar, *paths = map(os.path.abspath, sys.argv[1:])
    work = tempfile.mkdtemp(prefix="wythe-new-user.")
    os.chmod(work, 0o755)
    os.chdir(work)
    os.environ["BASE"] = base
    machine = world = None
    try:
        if not package.endswith(".deb"):
            package = packed(package, work)
        subprocess.run(["dpkg-deb", "--extract", package, f"{work}/unpacked"], check=True)
        os.environ["WYTHE"] = f"{work}/unpacked/usr/bin/wythe"
        world = pages.World()
        prepare(tar, package, f"{work}/root")
        machine = Debian(world, f"{work}/root")
        machine.check(["useradd", "--create-home", "--shell", "/bin/bash", USER])
        done, wrong = run_pages(machine, paths)
    finally:
        if machine:
            machine.end()
        if world:
            world.daemon.terminate()
        shutil.rmtree(work, ignore_errors=True)
    print(f"{done} passed, {len(wrong)} failed")
    sys.exit(1 if wrong or not done else 0)


main()
