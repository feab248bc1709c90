#!/usr/bin/env python3
"""Runs the program in containers as people get them, which have nothing in them but the program: it builds what needs
no steps in each, and of steps it says what forbids them and what would help, or runs them.

Usage: places.py WYTHE USER BASE [DEBIAN.tar]
(as root, with runc; USER has subordinate ids, BASE is the layout of base.sh; DEBIAN.tar, a root file system of Debian,
is what packages are installed on, from the network)
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import caching_proxy

# Docker's capabilities for root of a container.
DOCKERS = """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT
KILL AUDIT_WRITE""".split()

# What Docker's profile lets nobody call who lacks CAP_SYS_ADMIN, and what it lets nobody call at all.
FOR_ADMINS = """bpf fanotify_init fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree
perf_event_open quotactl setdomainname sethostname setns syslog umount umount2 unshare""".split()
FOR_NOBODY = """pivot_root keyctl add_key request_key kexec_load open_by_handle_at userfaultfd io_uring_setup
init_module delete_module swapon swapoff reboot acct""".split()
NEW_NAMESPACES = 0x7E020000

MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]
FROZEN = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

# Steps that touch what the ways of running them do differently.
MANY = """COPY file /src/file
RUN mkdir -p /d/e && echo 1 > /d/one && ln -s x /d/l && ln /d/one /d/two && chown 5:6 /d/e && chmod 750 /d/two && chmod 3755 /d/e
RUN rm -rf /src && mkdir /src && echo new > /src/new && touch -t 200001010000 /d/old && mkfifo /d/pipe
RUN mknod /null c 1 3 && chown 7:8 /null && test -c /dev/null && echo x > /dev/null && mv /d /moved
RUN test "$(cat /proc/self/comm)" = cat && echo out > /dev/stdout && ln -s /dev/stderr /log && echo logged > /log
RUN ls /proc/self/fd > /dev/null && test "$(readlink /proc/self)" -gt 1 && ls -d /proc/[0-9]* > /dev/null && grep -q MemTotal /proc/meminfo
RUN --mount=type=cache,target=/cache echo kept >> /cache/f && cat /cache/f > /kept
RUN --mount=type=bind,target=/context --mount=type=tmpfs,target=/scratch --mount=type=secret,id=words \
  cat /context/file > /scratch/one && cp /scratch/one /from-context && test -s /run/secrets/words
RUN rm -rf /etc/group && : > /etc/new && test -s /etc/hosts && env | sort > /env
RUN (setsid sh -c 'sleep 1; echo late > /late' &) ; true
RUN sleep 1.5; test ! -e /late
WORKDIR /home/app/work
USER app
RUN id > /tmp/who && test ! -w /etc && cat /proc/self/status > /dev/null && test "$(readlink /proc/self/exe)" = /bin/busybox
RUN <<EOF
echo "a script" > /tmp/script
EOF
FROM base
COPY --from=0 /moved /moved
RUN --mount=type=bind,from=0,source=/moved,target=/mnt,rw cp /mnt/one /copied && echo lost > /mnt/lost"""

# What no step can change, whatever the kernel is asked to keep it from that.
FROZEN_FILES = """RUN ! mkdir /sys/x && ! (echo x > /etc/hosts) && ! chmod 600 /dev/null && echo x > /dev/null
RUN ! (echo x > /proc/sysrq-trigger) && ! (echo x > /proc/sys/kernel/hostname) && test ! -s /proc/keys
RUN --mount=type=bind,target=/c ! touch /c/x && cp /bin/true /dev/shm/x && ! /dev/shm/x"""

# Packages, accounts, capabilities and privileges on a Debian.
DEBIAN = """RUN apt-get update && apt-get install -y --no-install-recommends openssh-client sudo libcap2-bin man-db postgresql
RUN test "$(stat -c %U:%G:%a /var/lib/postgresql/*/main)" = postgres:postgres:700
RUN useradd --create-home --uid 1500 app && su app -c 'id -un > ~/who' && test "$(cat /home/app/who)" = app
RUN cp /bin/true /opt/capable && setcap cap_net_raw+ep /opt/capable && getcap /opt/capable | grep -q net_raw
RUN echo 'app ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/app
RUN bash -c 'cat <(echo substituted) > /opt/substituted' && echo to the log > /dev/stdout
USER app
RUN sudo sh -c 'id -u > /opt/root'"""

# What a step in a chroot may not find out: the first process is the builder, and has a variable to be found.
CURIOUS = """RUN cat /proc/self/environ > /own && ! grep CANARY /own && ! env | grep CANARY
RUN ! cat /proc/1/environ && ! cat /proc/1/root/wythe && ! ls /proc/1/fd && ! ls /proc/1 && ! readlink /proc/1/exe
RUN ! ls /proc/self/root/wythe && ! cat /proc/self/root/../wythe && ! chroot / true
RUN n=0; while [ $n -lt 300 ]; do (setsid sleep 1000 &); n=$((n + 1)); done
RUN test "$(ls -d /proc/[0-9]* | wc -l)" -lt 10"""

# Services of clouds for their machines are refused, whoever asks, and nobody else is.
CLOUDS = """RUN for at in 169.254.169.254 169.254.170.2; do nc -w 2 $at 80 2>&1 < /dev/null | grep 'Permission denied' || exit 1; done
RUN ! nc -w 2 127.0.0.1 9 2>&1 < /dev/null | grep 'Permission denied'
USER app
RUN nc -w 2 169.254.169.254 80 2>&1 < /dev/null | grep 'Permission denied'"""

# A user who gains no privileges, and so no more ids than one.
BARRED = {"uid": 1000, "capabilities": [], "new_privileges": False, "covered": False}

passed = failed = 0


def filter_of_docker(is_admin):
    denied = FOR_NOBODY + ([] if is_admin else FOR_ADMINS)
    rules = [{"names": denied, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    if not is_admin:
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
        for namespace in range(32):
            if NEW_NAMESPACES >> namespace & 1:
                flag = {"index": 0, "value": 1 << namespace, "valueTwo": 1 << namespace, "op": "SCMP_CMP_MASKED_EQ"}
                rules.append({"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [flag]})
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}


def lacking(call):
    """As on a kernel that has never heard of a call."""
    rules = [{"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}


class Place:
    """A container with the program, a base image, a context, and a store on a volume."""

    def __init__(self, top, wythe, base):
        self.top = top
        self.root = os.path.join(top, "rootfs")
        for name in ["proc", "dev", "sys", "tmp", "etc", "context", "volume", "usr/bin"]:
            os.makedirs(os.path.join(self.root, name))
        os.chmod(os.path.join(self.root, "tmp"), 0o1777)
        shutil.copy(wythe, os.path.join(self.root, "wythe"))
        self.has_libraries_of(wythe)
        shutil.copytree(base, os.path.join(self.root, "base"))
        for name, steps in [("steps", "RUN echo ran > /ran"), ("copies", "COPY file /"), ("many", MANY)]:
            self.write(f"context/{name}", f"FROM base\n{steps}\n")
        self.write("context/file", "text\n")
        self.write("context/words", "secret words")
        self.write("etc/passwd", "root:x:0:0::/:/sh\nada:x:1000:1000::/:/sh\n")
        self.n_runs = 0

    def write(self, path, text):
        with open(os.path.join(self.root, path), "w") as file:
            file.write(text)

    def has_libraries_of(self, program):
        """Installs what a program needs of this machine, if it is not linked statically."""
        listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for file in [word for word in listed.split() if word.startswith("/")]:
            os.makedirs(os.path.dirname(self.root + file), exist_ok=True)
            shutil.copy(file, self.root + file)

    def has_tools(self):
        """Installs newuidmap and newgidmap as Debian does."""
        for tool in ["newuidmap", "newgidmap"]:
            shutil.copy(f"/usr/bin/{tool}", f"{self.root}/usr/bin/{tool}")
            self.has_libraries_of(f"/usr/bin/{tool}")
            os.chmod(f"{self.root}/usr/bin/{tool}", 0o4755)
        for name in ["subuid", "subgid"]:
            self.write(f"etc/{name}", "ada:100000:65536\n")

    def run(self, words, uid=0, capabilities=DOCKERS, profile=None, covered=True, new_privileges=True, volume=True, patience=120):
        """Runs the program there; returns its exit code and all that it says."""
        self.n_runs += 1
        volume_at = os.path.join(self.top, f"volume-{uid}")
        os.makedirs(volume_at, exist_ok=True)
        os.chown(volume_at, uid, uid)
        mounts = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro", "nosuid", "nodev", "noexec"]},
        ]
        if volume:
            options = ["rbind", "rw"]
            mounts.append({"destination": "/volume", "type": "bind", "source": volume_at, "options": options})
        names = [f"CAP_{name}" for name in capabilities]
        own = names if uid == 0 else []
        sets = {"bounding": names, "effective": own, "permitted": own}
        config = {
            "ociVersion": "1.0.2",
            "root": {"path": self.root, "readonly": False},
            "process": {
                "user": {"uid": uid, "gid": uid},
                "args": ["/wythe", "--store", "/volume/store", *words],
                "env": ["PATH=/usr/bin", "HOME=/volume", "CANARY=a variable of the builder"],
                "cwd": "/",
                "capabilities": sets,
                "noNewPrivileges": not new_privileges,
            },
            "mounts": mounts,
            "linux": {"namespaces": [{"type": kind} for kind in ["pid", "mount", "ipc", "uts"]]},
        }
        if profile:
            config["linux"]["seccomp"] = profile
        if covered:
            config["linux"].update(maskedPaths=MASKED, readonlyPaths=FROZEN)
        with open(os.path.join(self.top, "config.json"), "w") as file:
            json.dump(config, file)
        name = f"wythe-places-{os.getpid()}-{self.n_runs}"
        # crun refuses machines that have both versions of cgroups.
        runc = ["runc", "run", "--bundle", self.top, name]
        ran = subprocess.run(runc, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience)
        return ran.returncode, ran.stdout + ran.stderr

    def build(self, what, *flags, **place):
        words = ["build", "--no-cache", "--progress=plain", "--build-context", "base=oci-layout:///base", "-f", f"/context/{what}"]
        return self.run([*words, *flags, "-t", what, "/context"], **place)

    def digest(self, what="many", *flags, **place):
        """Builds what the ways of running steps do differently: how that ended, and the digest of the image."""
        out = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--secret", "id=words,src=/context/words"]
        out += ["-o", "type=oci,dest=/volume/out,tar=false,rewrite-timestamp=true"]
        volume = os.path.join(self.top, f"volume-{place.get('uid', 0)}")
        at = os.path.join(volume if place.get("volume", True) else os.path.join(self.root, "volume"), "out")
        self.out = at
        shutil.rmtree(at, ignore_errors=True)
        answer = self.build(what, *out, *flags, **place)
        if answer[0] != 0:
            return answer, None
        with open(os.path.join(at, "index.json")) as file:
            return answer, json.load(file)["manifests"][0]["digest"]


def check(claim, answer, code, *words):
    """That the program ended with `code`, having said `words`."""
    global passed, failed
    ended, said = answer
    missing = [word for word in words if word not in said]
    if ended == code and not missing:
        passed += 1
        print(f"ok    {claim}")
    else:
        failed += 1
        print(f"FAIL  {claim}: ended with {ended}, not {code}; not said: {missing}\n{said}")


def is_refused(name, container, code_of_doctor, words, **place):
    """A place where steps are refused and all else is done."""
    check(f"{name}: doctor tells", container.run(["doctor"], **place), code_of_doctor, *words)
    check(f"{name}: an image without steps is built", container.build("copies", **place), 0)
    check(f"{name}: a step is refused where it stands", container.build("steps", **place), 4, ">>> RUN", *words[:1])
    check(f"{name}: du", container.run(["du"], **place), 0)
    check(f"{name}: prune", container.run(["prune"], **place), 0)


def layout_of(tar, at):
    """Makes a layout with one image of one layer."""
    blobs = os.path.join(at, "blobs", "sha256")
    os.makedirs(blobs)

    def put(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as file:
            file.write(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    with open(tar, "rb") as file:
        layer = put(file.read(), "layer.v1.tar")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = {"architecture": architecture, "os": "linux", "config": {"Env": [path]}, "rootfs": rootfs}
    config = put(json.dumps(config).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "config": config, "layers": [layer]}
    manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    manifest = put(json.dumps(manifest).encode(), "manifest.v1+json")
    manifest["platform"] = {"os": "linux", "architecture": architecture}
    for name, text in [("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": [manifest]})]:
        with open(os.path.join(at, name), "w") as file:
            json.dump(text, file)


def on_debian(wythe, tar, top):
    """Installs packages in namespaces and in a chroot, and compares what came of it file by file."""
    layout_of(tar, os.path.join(top, "debian"))
    container = Place(os.path.join(top, "debians"), wythe, os.path.join(top, "debian"))
    shutil.copy("/etc/resolv.conf", os.path.join(container.root, "etc/resolv.conf"))
    container.write("context/debian", f"FROM base\n{DEBIAN}\n")
    made = []
    ways = [
        ("namespaces", [], {"covered": False}),
        ("a chroot", [], {"profile": filter_of_docker(False)}),
        # sudo asks for the flag by which a process gains no privileges, and refuses where it is set.
        ("namespaces with one id", [], {**BARRED, "new_privileges": True}),
    ]
    with caching_proxy.serving() as proxy:
        for name, flags, place in ways:
            since = time.monotonic()
            answer, _ = container.digest("debian", "--build-arg", f"http_proxy={proxy}", *flags, patience=2400, **place)
            check(f"packages are installed on Debian, and sudo used, in {name}", answer, 0)
            print(f"      after {time.monotonic() - since:.0f} s")
            made.append(os.path.join(top, name))
            if answer[0] == 0:
                os.rename(container.out, made[-1])
    here = os.path.dirname(os.path.abspath(__file__))
    for other, name in zip(made[1:], [name for name, _, _ in ways[1:]]):
        words = [f"{here}/compare_trees.py", made[0], other, "--except", f"{here}/install_differences.txt"]
        ran = subprocess.run(words, capture_output=True, text=True)
        check(f"{name}: paths, owners, modes and contents are the same", (ran.returncode, ran.stdout + ran.stderr), 0)


def killed_without_namespaces(wythe, base, top):
    """Kills a builder whose steps have no namespace that would end with it."""
    with open(os.path.join(top, "sleeping"), "w") as file:
        file.write("FROM base\nRUN (setsid sleep 424242 &); sleep 424242\n")
    words = [wythe, "--store", os.path.join(top, "chroots"), "build", "--isolation=chroot", "--no-cache", "-f"]
    words += [os.path.join(top, "sleeping"), "--build-context", f"base=oci-layout://{base}", top]
    with open(os.path.join(top, "said"), "w") as said:
        builder = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def sleeping():
        return subprocess.run(["pgrep", "-cxf", "sleep 424242"], capture_output=True, text=True).stdout.strip()

    def until(number):
        deadline = time.monotonic() + 30
        while (seen := sleeping()) != number and time.monotonic() < deadline:
            time.sleep(0.05)
        return seen

    began = until("2")
    builder.kill()
    builder.wait()
    left = until("0")
    with open(os.path.join(top, "said")) as said:
        answer = (int(began != "2" or left != "0"), f"{began} processes slept, {left} are left\n{said.read()}")
    check("in a chroot, a builder that is killed leaves no process", answer, 0, "isolation chroot: ")


def main():
    wythe, user, base, *debian = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        os.chmod(top, 0o755)
        container = Place(os.path.join(top, "bundle"), wythe, base)
        every = [*DOCKERS, "SYS_ADMIN"]
        docker = {"profile": filter_of_docker(False)}

        name = "root, no filter, nothing covered"
        place = {"covered": False}
        check(f"{name}: doctor", container.run(["doctor"], **place), 0)
        check(f"{name}: steps run", container.build("steps", **place), 0)

        name = "root, no filter, a covered /proc"
        check(f"{name}: doctor", container.run(["doctor"]), 0, "part  fresh /proc", "systempaths=unconfined")
        check(f"{name}: steps run", container.build("steps"), 0)

        answer, expected = container.digest(covered=False)
        check("root, no filter, nothing covered: many steps run", answer, 0, "isolation userns: ")

        name = "root, a kernel that gives no attributes to mounts that are attached nowhere"
        place = {"covered": False, "profile": lacking("mount_setattr")}
        answer, found = container.digest(**place)
        check(f"{name}: many steps run", answer, 0, "isolation userns: ")
        check(f"{name}: the image is the same", (0, found or "none"), 0, expected or "nothing")
        container.write("context/frozen", f"FROM base\n{FROZEN_FILES}\n")
        check(f"{name}: what cannot be changed cannot be changed", container.build("frozen", **place), 0)

        name = "Docker's default, root"
        why = "creating user namespaces is not permitted"
        words = [why, "seccomp=unconfined", "ok  a root directory of its own", "steps run here in a chroot"]
        check(f"{name}: doctor", container.run(["doctor"], **docker), 0, *words)
        check(f"{name}: an image without steps is built", container.build("copies", **docker), 0)
        answer, found = container.digest(**docker)
        check(f"{name}: many steps run in a chroot, which the first line says", answer, 0)
        first = [line for line in answer[1].splitlines() if line and not line.startswith("sha256:")][:1]
        check(f"{name}: that is said first, with the reason", (0, "".join(first)), 0, "isolation chroot: ", why)
        check(f"{name}: the image is the one that namespaces give", (0, found or "none"), 0, expected or "nothing")
        pinned = container.build("steps", "--isolation=userns", **docker)
        check(f"{name}: nothing less is taken than was asked for", pinned, 4, ">>> RUN", why)
        container.write("context/apart", "FROM base\nRUN --security=insecure true\n")
        container.write("context/frozen", "FROM base\nRUN --mount=type=cache,target=/c,readonly true\n")
        for what, flag, named in [
            ("steps", "--network=none", "--network=none"),
            ("apart", "--allow=security.insecure", "--security=insecure"),
            ("frozen", "--jobs=1", "a mount that cannot be written to (/c)"),
        ]:
            refused = container.build(what, flag, **docker)
            check(f"{name}: {named} is refused by name", refused, 4, ">>> RUN", named, "cannot be had without user namespaces")
        container.write("context/curious", f"FROM base\n{CURIOUS}\n")
        check(f"{name}: what other processes are and have is out of reach", container.build("curious", **docker), 0)
        container.write("context/clouds", f"FROM base\n{CLOUDS}\n")
        check(f"{name}: services of clouds are out of reach", container.build("clouds", **docker), 0)
        limited = [
            ("RUN sleep 100", ["--timeout", "1s"], 1, ["out of time"]),
            ("RUN test $(nproc) = 1", ["--cpus", "0.5"], 0, ["limits of steps are kept"]),
            ("RUN awk 'BEGIN { s = \"x\"; while (1) s = s s }'", ["--memory", "64m"], 1, ["67108864 bytes"]),
            ("RUN true", ["--pids-limit", "100"], 4, [">>> RUN", "--pids-limit", "cannot be had without user namespaces"]),
            ("USER app\nRUN for n in $(seq 300); do sleep 20 & done; wait", ["--pids-limit", "100", "--timeout", "30s"], 1, ["while 100 ran as its user"]),
        ]
        for text, flags, code, said in limited:
            container.write("context/limited", f"FROM base\n{text}\n")
            check(f"{name}: {flags[0]} limits a step", container.build("limited", *flags, **docker), code, *said)
        check(f"{name}: doctor says who keeps limits", container.run(["doctor"], **docker), 0, "limits of steps by control groups: ")
        ran = container.build("steps", **docker)
        command = ["run", "steps", "sh", "-c", "cat /ran && grep -q Name /proc/self/status && echo x > /dev/null"]
        check(f"{name}: a command runs", container.run(command, **docker), ran[0], "ran", "isolation chroot: ")
        refused = container.run(["run", "-v", "/context:/c", "steps", "true"], **docker)
        check(f"{name}: of a command volumes are refused by name", refused, 4, "--volume needs user namespaces")
        refused = container.run(["run", "--isolation=userns", "steps", "true"], **docker)
        check(f"{name}: a command gets nothing less than it asks for", refused, 4, "commands cannot run here", why)
        ended = container.run(["run", "--timeout", "1s", "steps", "sleep", "100"], **docker)
        check(f"{name}: a command may not take longer than it may", ended, 124, "the command was out of time")
        refused = container.build("steps", "--network=allow:deb.debian.org", **docker)
        check(f"{name}: a list of hosts is refused by name", refused, 4, ">>> RUN", "a network of its own", "cannot be had without user namespaces")
        few = {**docker, "capabilities": [name for name in DOCKERS if name != "SYS_CHROOT"]}
        words = [why, "lacks CAP_SYS_CHROOT"]
        is_refused("root without CAP_SYS_CHROOT", container, 4, words, **few)
        no_tools = ["newuidmap not found", "install uidmap"]
        container.write("etc/subuid", "ada:100000:65536\n")
        container.write("etc/subgid", "ada:100000:65536\n")
        is_refused("Docker's default, a user", container, 4, no_tools, uid=1000, **docker)

        name = "a restricted pod"
        words = ["no_new_privs", "allowPrivilegeEscalation=false"]
        is_refused(name, container, 4, words, uid=1000, capabilities=[], new_privileges=False, **docker)

        name = "a user who gains no privileges, and no filter"
        words = ["no_new_privs", "ok  one id, and others emulated", "steps run here with one id"]
        check(f"{name}: doctor tells", container.run(["doctor"], **BARRED), 0, *words)
        pinned = container.build("steps", "--isolation=userns", **BARRED)
        check(f"{name}: nothing less is taken than was asked for", pinned, 4, ">>> RUN", "no_new_privs")
        answer, found = container.digest("many", **BARRED)
        check(f"{name}: many steps run with one id", answer, 0, "isolation single-id: ", "what root can (newuidmap cannot gain privileges")
        check(f"{name}: the image is the one that many ids give", (0, found or "none"), 0, expected or "nothing")
        check(f"{name}: du", container.run(["du"], **BARRED), 0)
        check(f"{name}: prune", container.run(["prune", "--all"], **BARRED), 0)

        name = "Docker's default and CAP_SYS_ADMIN, nothing covered"
        words = ["entering the root", "pivot_root"]
        place = {"capabilities": every, "profile": filter_of_docker(True), "covered": False}
        check(f"{name}: doctor tells", container.run(["doctor"], **place), 4, *words)
        check(f"{name}: a step is refused where it stands", container.build("steps", **place), 4, ">>> RUN", *words[:1])

        name = "the store in the container's own file system"
        place = {"covered": False, "volume": False}
        overlay = os.path.join(top, "layers")
        for part in ["upper", "work"]:
            os.makedirs(os.path.join(overlay, part))
        options = f"lowerdir={container.root},upperdir={overlay}/upper,workdir={overlay}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", container.root], check=True)
        try:
            words = ["part  overlay in the store", "files are copied", "a volume"]
            check(f"{name}: doctor tells", container.run(["doctor"], **place), 0, *words)
            answer, found = container.digest(**place)
            check(f"{name}: many steps run on copies", answer, 0, "isolation userns: ")
            check(f"{name}: the image is the one that overlays give", (0, found or "none"), 0, expected or "nothing")
            answer = container.build("steps", **place)
            check(f"{name}: a command runs on copies", container.run(["run", "steps", "cat", "/ran"], **place), answer[0], "ran")
            inside = {**docker, "volume": False}
            answer, found = container.digest(**inside)
            check(f"{name}, Docker's default: many steps run", answer, 0, "isolation chroot: ")
            check(f"{name}, Docker's default: the image is the same", (0, found or "none"), 0, expected or "nothing")
        finally:
            subprocess.run(["umount", container.root], check=True)

        name = "a user, with set-user-ID tools"
        container.has_tools()
        place = {"uid": 1000, "covered": False}
        words = ["may not write id maps here", "setcap cap_setuid=ep", "steps run here with one id"]
        check(f"{name}: doctor tells", container.run(["doctor"], **place), 0, *words)
        pinned = container.build("steps", "--isolation=userns", **place)
        check(f"{name}: many ids are refused where a step stands", pinned, 4, ">>> RUN", *words[:2])
        check(f"{name}: steps run with one id", container.build("steps", **place), 0, "isolation single-id: ", *words[:2])
        name = "a user, with tools that have file capabilities"
        for tool, capability in [("newuidmap", "cap_setuid=ep"), ("newgidmap", "cap_setgid=ep")]:
            path = f"{container.root}/usr/bin/{tool}"
            os.chmod(path, 0o755)
            subprocess.run(["setcap", capability, path], check=True)
        place = {"uid": 1000, "covered": False}
        check(f"{name}: doctor", container.run(["doctor"], **place), 0)
        check(f"{name}: steps run", container.build("steps", **place), 0)

        killed_without_namespaces(wythe, base, top)
        for tar in debian:
            on_debian(wythe, tar, top)
        store = os.path.join(top, "store")
        os.makedirs(store)
        shutil.chown(store, user)
        limit = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\""
        words = ["runuser", "-u", user, "--", "env", f"TMPDIR={store}", "unshare", "--map-root-user", "--map-auto"]
        words += ["sh", "-c", limit, "sh", wythe, "--store", store, "doctor"]
        ran = subprocess.run(words, capture_output=True, text=True)
        answer = (ran.returncode, ran.stdout + ran.stderr)
        check("no user namespaces are left: doctor tells", answer, 4, "max_user_namespaces is 0", "sysctl -w")
        words = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", wythe, "--store", f"{top}/nobodys", "doctor"]
        os.makedirs(f"{top}/nobodys")
        os.chown(f"{top}/nobodys", 4242, 4242)
        ran = subprocess.run(words, capture_output=True, text=True)
        answer = (ran.returncode, ran.stdout + ran.stderr)
        check("a user without subordinate ids: doctor tells", answer, 0, "no subordinate ids for user 4242", "usermod", "steps run here with one id")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
