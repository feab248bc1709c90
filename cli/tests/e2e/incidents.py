#!/usr/bin/env python3
"""What other builders and runtimes have been attacked by: each incident is tried here under its name, in one way of
keeping steps apart. docs/incidents.md has the list, which is compared where docs lie beside this.

Usage: incidents.py WYTHE BASE ISOLATION [NAME…]
       incidents.py --table
(userns and single-id as a user with subordinate ids, chroot as root; BASE is the layout of base.sh)
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

from canaries import facts

CANARY = "the canary outside"
# Docker's capabilities, which root of a container has.
DOCKERS = "chown dac_override fsetid fowner mknod net_raw setgid setuid setfcap setpcap net_bind_service sys_chroot kill audit_write"
EVERYWHERE = ("userns", "single-id", "chroot")
# How long a build of a few steps may take on a machine that is busy.
PATIENCE = 120

INCIDENTS = []


def incident(name, tiers=EVERYWHERE):
    """Registers what tries an incident, and in which ways of keeping steps apart that means something."""

    def register(function):
        INCIDENTS.append((name, tiers, function))
        return function

    return register


class Tier:
    """One way of keeping steps apart, with a store, and a directory outside of every image that is to stay as it is."""

    def __init__(self, wythe, base, isolation, top):
        self.wythe, self.base, self.isolation, self.top = wythe, base, isolation, top
        self.store = os.path.join(top, "store")
        self.outside = os.path.join(top, "outside")
        os.makedirs(os.path.join(self.outside, "empty"))
        for name, text in [("canary", CANARY), ("nothing", "")]:
            with open(os.path.join(self.outside, name), "w") as file:
                file.write(text)
        self.n_contexts = 0

    def context(self, text, **files):
        """A context with a Dockerfile, and with files whose names have dots for `_`."""
        self.n_contexts += 1
        at = os.path.join(self.top, f"context-{self.n_contexts}")
        os.makedirs(at)
        for name, content in {"Dockerfile": text, **files}.items():
            with open(os.path.join(at, name.replace("_", ".")), "w") as file:
                file.write(content)
        return at

    def words(self, context, *flags):
        # Root of the machine is to have what root of a container has.
        few = ["setpriv", "--bounding-set", "-all," + ",".join(f"+{name}" for name in DOCKERS.split())]
        own = [self.wythe, "--store", self.store, "--progress=plain", "build", "--no-cache", f"--isolation={self.isolation}"]
        base = ["--build-context", f"base=oci-layout://{self.base}"]
        return [*(few if self.isolation == "chroot" else []), *own, *base, *flags, context]

    def build(self, text, *flags, files=None, context=None, env=None):
        """Builds; returns the code it ended with and all that was said."""
        context = context or self.context(text, **(files or {}))
        words = self.words(context, *flags)
        ran = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE, env=env)
        return ran.returncode, ran.stdout + ran.stderr

    def ends(self, codes, text, *flags, said=(), **more):
        """Builds, and has it end with one of some codes, having said some words, and the canaries as they were."""
        before = facts(self.outside)
        code, words = self.build(text, *flags, **more)
        assert code in codes, f"{text}\nended with {code}, not {codes}\n{words}"
        missing = [word for word in said if word not in words]
        assert not missing, f"{text}\nnot said: {missing}\n{words}"
        assert facts(self.outside) == before, f"{text}\nchanged what is outside\n{words}"
        assert "the canary outside" not in words, f"{text}\nread what is outside\n{words}"
        return words

    def runs(self, text, *flags, **more):
        return self.ends([0], text, *flags, **more)

    def refuses(self, text, *flags, **more):
        return self.ends([1, 2, 4, 6], text, *flags, **more)

    def harmless(self, text, *flags, **more):
        """It may succeed or be refused, and nothing comes of it outside."""
        return self.ends([0, 1, 2, 4, 6], text, *flags, **more)

    def layout(self, config=None, tar=None):
        """A layout of one image with the configuration and the layer that are given."""
        self.n_contexts += 1
        at = os.path.join(self.top, f"layout-{self.n_contexts}")
        shutil.copytree(self.base, at)
        blobs = os.path.join(at, "blobs", "sha256")
        with open(os.path.join(at, "index.json")) as file:
            index = json.load(file)
        of = index["manifests"][0]
        with open(os.path.join(blobs, of["digest"][7:])) as file:
            manifest = json.load(file)

        def put(content):
            digest = hashlib.sha256(content).hexdigest()
            with open(os.path.join(blobs, digest), "wb") as file:
                file.write(content)
            return {"digest": f"sha256:{digest}", "size": len(content)}

        with open(os.path.join(blobs, manifest["config"]["digest"][7:])) as file:
            own = json.load(file)
        if tar:
            with open(tar, "rb") as file:
                content = file.read()
            manifest["layers"].append({**manifest["layers"][0], **put(content)})
            own["rootfs"]["diff_ids"].append(manifest["layers"][-1]["digest"])
        if config:
            own = config(own)
        manifest["config"].update(put(json.dumps(own).encode()))
        of.update(put(json.dumps(manifest).encode()))
        with open(os.path.join(at, "index.json"), "w") as file:
            json.dump(index, file)
        return at

    def image(self, *entries, config=None):
        """The flag of a base with further entries: (name, kind, what it holds or leads to, what else is set)."""
        tar = os.path.join(self.top, "layer.tar")
        with tarfile.open(tar, "w") as file:
            for name, kind, content, *more in entries:
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = kind, 0o755
                for key, value in (more[0] if more else {}).items():
                    setattr(entry, key, value)
                if kind == tarfile.REGTYPE and isinstance(content, int):
                    entry.size = content
                    file.addfile(entry, open("/dev/zero", "rb"))
                elif kind == tarfile.REGTYPE:
                    entry.size = len(content)
                    file.addfile(entry, __import__("io").BytesIO(content.encode()))
                else:
                    entry.linkname = content or ""
                    file.addfile(entry)
        return ["--build-context", f"hostile=oci-layout://{self.layout(config, tar if entries else None)}"]


FILE, LINK, FOLDER, PIPE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE


# Running steps.


@incident("CVE-2019-5736")
def the_builders_program_is_executed_and_written_to(tier):
    before = hashlib.sha256(open(tier.wythe, "rb").read()).digest()
    tier.refuses('FROM base\nSHELL ["/proc/self/exe"]\nRUN true')
    tier.harmless('FROM base\nRUN printf "#!/proc/self/exe\\n" > /sh && chmod 755 /sh\nSHELL ["/sh"]\nRUN true', "--timeout=20s")
    tier.runs("FROM base\nRUN n=0; while [ $n -lt 200 ]; do for p in /proc/[0-9]* /proc/self; do (echo x > $p/exe) 2> /dev/null; done; n=$((n + 1)); done; true")
    assert hashlib.sha256(open(tier.wythe, "rb").read()).digest() == before, "the program was changed"


@incident("CVE-2024-21626")
def a_working_directory_is_an_open_file_of_the_builder(tier):
    for number in [*range(3, 12), 20, 40]:
        tier.harmless(f"FROM base\nWORKDIR /proc/self/fd/{number}\nRUN cat ../../../../..{tier.outside}/canary; cat ../../../outside/canary; true")
    for number in [7, 12]:
        tier.harmless(f"FROM hostile\nWORKDIR /cwd\nRUN cat ../../../../..{tier.outside}/canary; true", *tier.image(("cwd", LINK, f"/proc/self/fd/{number}")))
    listed = tier.runs("FROM base\nRUN for f in /proc/self/fd/*; do echo open:$f; done")
    found = sorted(word.rsplit("/", 1)[1] for word in listed.split() if word.startswith("open:/proc"))
    # The shell has the directory itself open while it looks.
    assert set(found) <= {"0", "1", "2", "3"}, listed


@incident("CVE-2025-31133")
def what_hides_kernel_files_is_a_link_of_the_image(tier):
    pattern = open("/proc/sys/kernel/core_pattern").read()
    entries = [("dev", FOLDER, None), ("dev/null", LINK, "/proc/sys/kernel/core_pattern")]
    try_it = lambda text: tier.ends([0, 1], text, *tier.image(*entries))
    try_it("FROM hostile\nRUN echo x > /proc/sys/kernel/core_pattern; echo x > /dev/null; exit 1")
    tier.runs("FROM hostile\nRUN for f in /proc/kcore /proc/keys /proc/timer_list; do [ ! -s $f ] || [ ! -r $f ] || ! head -c 1 $f | grep -q .; done\n"
        "RUN echo x > /dev/null && test -c /dev/null && ! (echo x > /proc/sys/kernel/core_pattern)", *tier.image(*entries))
    found = open("/proc/sys/kernel/core_pattern").read()
    if found != pattern:
        open("/proc/sys/kernel/core_pattern", "w").write(pattern)
    assert found == pattern, f"a file of the kernel was changed to {found}"


@incident("CVE-2025-52565")
def the_console_and_terminals_are_links_of_the_image(tier):
    entries = [("dev", FOLDER, None)] + [(f"dev/{name}", LINK, f"{tier.outside}/empty") for name in ["pts", "console", "ptmx", "shm", "mqueue"]]
    tier.harmless("FROM hostile\nRUN echo x > /dev/pts/x; echo x > /dev/shm/x; true", *tier.image(*entries))


@incident("CVE-2025-52881")
def files_of_proc_lead_to_others(tier):
    entries = [("proc", LINK, "/lookalike"), ("lookalike", FOLDER, None), ("lookalike/self", LINK, tier.outside), ("lookalike/sys", LINK, tier.outside)]
    tier.harmless("FROM hostile\nRUN echo x > /proc/self/canary; true", *tier.image(*entries))


@incident("CVE-2026-41579")
def devices_are_in_a_directory_behind_a_link(tier):
    entries = [("dev", LINK, tier.outside)]
    tier.harmless("FROM hostile\nRUN echo x > /dev/null; rm -f /dev/canary; true", *tier.image(*entries))


@incident("CVE-2023-27561")
def proc_and_sys_are_links_of_the_image(tier):
    for name in ["proc", "sys"]:
        tier.harmless(f"FROM hostile\nRUN ls /{name}; true", *tier.image((name, LINK, tier.outside)))
        tier.harmless(f"FROM hostile\nVOLUME /{name}\nRUN ls /{name}; true", *tier.image((name, FILE, "no directory")))


@incident("CVE-2022-29162")
def capabilities_are_inherited(tier):
    said = tier.runs("FROM base\nRUN grep Cap /proc/self/status\nUSER app\nRUN grep Cap /proc/self/status" if tier.isolation != "chroot" else "FROM base\nRUN grep Cap /proc/self/status")
    sets = [line.split()[-2:] for line in said.splitlines() if "Cap" in line and "RUN" not in line and ":" in line]
    for name, value in sets:
        assert name not in ("CapInh:", "CapAmb:") or int(value, 16) == 0, said
        # Docker's, at most.
        assert name != "CapBnd:" or int(value, 16) & ~0xA80425FB == 0, said


@incident("CVE-2025-27612")
def a_path_raises_capabilities(tier):
    tier.runs("FROM base\nUSER app\nWORKDIR /tmp\nRUN " + ("grep -q 'CapEff:.0000000000000000' /proc/self/status" if tier.isolation == "userns" else "! chown 0 /tmp/x 2> /dev/null && ! (echo x > /etc/x) 2> /dev/null"))


@incident("CVE-2022-36109", tiers=("userns", "chroot"))
def a_group_that_is_denied_is_left_out(tier):
    entries = [("etc/group", FILE, "root:x:0:\napp:x:1001:\ndenied:x:2000:app\n"), ("denied", FILE, "secret", {"mode": 0o604, "gid": 2000})]
    tier.runs("FROM hostile\nUSER app\nRUN ! cat /denied", *tier.image(*entries))


@incident("CVE-2024-40635")
def a_user_has_a_number_that_is_none(tier):
    passwd = "root:x:0:0::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n-1:x:0:0::/:/bin/sh\n"
    flags = tier.image(("etc/passwd", FILE, passwd))
    for user in ["4294967296", "-1", "4294967295", "18446744073709551616", "4294967296:0"]:
        tier.refuses(f"FROM hostile\nUSER {user}\nRUN id -u", *flags)
    tier.runs('FROM hostile\nUSER 0007\nRUN test "$(id -u)" = 7', *flags)


@incident("CVE-2026-47262")
def the_file_of_groups_has_no_end(tier):
    flags = tier.image(("etc/group", FILE, 64 << 20))
    tier.refuses("FROM hostile\nUSER app\nRUN true", *flags, said=["/etc/group"])


@incident("CVE-2024-9676")
def the_file_of_users_is_no_file(tier):
    for kind, lead in [(PIPE, None), (LINK, "/proc/1/environ"), (LINK, f"{tier.outside}/canary"), (FOLDER, None)]:
        since = time.monotonic()
        tier.refuses("FROM hostile\nUSER nobody-else\nRUN cat /etc/passwd", *tier.image(("etc/passwd", kind, lead)))
        assert time.monotonic() - since < PATIENCE / 2, "it waited"


@incident("BuildKit-9cdf64294")
def files_are_devices_and_pipes(tier):
    device = {"devmajor": 1, "devminor": 5}
    flags = tier.image(("zero", tarfile.CHRTYPE, None, device), ("pipe", PIPE, None))
    tier.harmless("FROM hostile AS made\nFROM base\nCOPY --from=made /zero /pipe /", *flags)
    context = tier.context("")
    os.unlink(os.path.join(context, "Dockerfile"))
    os.mkfifo(os.path.join(context, "Dockerfile"))
    tier.refuses("", context=context)


@incident("CVE-2019-14271")
def names_are_looked_up_by_libraries_of_the_image(tier):
    # Who opens one of these waits for ever.
    pipes = [(f"{where}/libnss_{name}.so.2", PIPE, None) for where in ["lib", "usr/lib", "lib/x86_64-linux-gnu"] for name in ["files", "canary"]]
    entries = [("lib", FOLDER, None), ("usr", FOLDER, None), ("usr/lib", FOLDER, None), ("lib/x86_64-linux-gnu", FOLDER, None), *pipes, ("etc/nsswitch.conf", FILE, "passwd: canary files\ngroup: canary files\n")]
    tier.runs("FROM hostile\nCOPY --chown=app:app Dockerfile /f\nUSER app\nRUN test \"$(stat -c %u:%g /f)\" = 1000:1001", *tier.image(*entries))


@incident("CVE-2023-25809")
def control_groups_of_the_machine_are_written(tier):
    tier.runs("FROM base\nRUN for f in $(find /sys/fs/cgroup -name cgroup.procs -o -name tasks -o -name release_agent 2> /dev/null | head -n 50); do if (echo 0 > $f) 2> /dev/null; then exit 1; fi; done")


@incident("CVE-2020-15257")
def abstract_sockets_of_the_builder_are_reached(tier):
    said = tier.runs("FROM base\nRUN grep @ /proc/net/unix | sed 's/^/socket /' || true")
    assert "wythe" not in "".join(line for line in said.splitlines() if " socket " in line), said


@incident("CVE-2025-46416", tiers=("userns", "single-id"))
def a_step_is_still_written_to_when_it_has_ended(tier):
    # A stage that has ended is read while another one that shares nothing with it runs.
    text = "FROM base AS one\nRUN (while :; do echo late > /late; done) & (setsid sh -c 'sleep 1; echo later > /late') & echo first > /late\n"
    text += "FROM base\nCOPY --from=one /late /one\nRUN sleep 1\nCOPY --from=one /late /two\nRUN cmp /one /two\n"
    tier.runs(text)


@incident("CVE-2024-29018")
def names_are_asked_for_without_a_network(tier):
    text = "FROM base\nRUN ! nslookup x.example && ! grep nameserver /etc/resolv.conf && test \"$(grep -c : /proc/net/dev)\" = 1"
    if tier.isolation == "chroot":
        tier.ends([4], text, "--network=none", said=["--network=none"])
    else:
        tier.runs(text, "--network=none")


@incident("CVE-2017-5226")
def characters_are_pushed_into_the_terminal(tier):
    tier.runs("FROM base\nRUN test ! -t 0 && ! (echo x > /dev/tty) 2> /dev/null && ! tty")


@incident("CVE-2021-3493")
def set_user_id_programs_of_images_are_executed_outside(tier):
    tier.runs("FROM base\nRUN cp /bin/busybox /suid && chmod 4755 /suid")
    mode = os.stat(tier.store).st_mode
    assert mode & 0o077 == 0, f"others can enter the store ({mode:o})"


@incident("CVE-2025-65105")
def what_was_asked_for_is_left_out_silently(tier):
    tier.refuses("FROM base\nRUN --security=insecure true")
    tier.refuses("FROM base\nRUN --security=apparmor true")
    tier.ends([0], "FROM base\nRUN true", "--security-opt=apparmor=missing", said=["without effect", "--security-opt"])


@incident("CVE-2021-3602")
def variables_of_the_builder_are_in_steps(tier):
    canaries = {f"CANARY_{number}": f"sings-{number}" for number in range(20)}
    said = tier.runs("FROM base\nRUN env; cat /proc/self/environ; cat /proc/1/environ 2> /dev/null; true", env={**os.environ, **canaries})
    assert "sings-" not in said, said


@incident("BuildKit-2855")
def processes_outlive_a_build_that_is_cancelled(tier):
    sleep = f"sleep {100000 + os.getpid()}"

    def sleepers():
        return subprocess.run(["pgrep", "-fx", sleep], capture_output=True, text=True).stdout.split()

    tier.runs(f"FROM base\nRUN (setsid {sleep} &); true")
    assert not sleepers(), "a step that has ended left a process"
    context = tier.context(f"FROM base\nRUN (setsid sh -c 'trap \"\" INT TERM HUP; while :; do {sleep}; done' &); echo slept; {sleep}")
    for sent in [signal.SIGINT, signal.SIGKILL]:
        builder = subprocess.Popen(tier.words(context), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in builder.stdout:
            if " slept" in line and "RUN" not in line:
                break
        deadline = time.monotonic() + PATIENCE
        while len(sleepers()) < 2:
            assert time.monotonic() < deadline and builder.poll() is None, "nothing slept"
            time.sleep(0.05)
        builder.send_signal(sent)
        builder.stdout.read()
        builder.wait(timeout=PATIENCE)
        deadline = time.monotonic() + 10
        while sleepers() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not sleepers(), f"after {sent.name} something is left"


# Mounts, and what the builder does with files.


@incident("CVE-2024-1753")
def the_source_of_a_mount_is_a_link_to_the_top(tier):
    text = f"FROM hostile AS made\nFROM base\nRUN --mount=type=bind,from=made,source=/rootdir,target=/x,rw touch /x/BREAK && test -d /x/bin && ! cat /x{tier.outside}/canary"
    tier.harmless(text, *tier.image(("rootdir", LINK, "/")))
    tier.harmless(text, *tier.image(("rootdir", LINK, "../../../../..")))
    assert not os.path.exists("/BREAK")


@incident("CVE-2024-9407")
def options_of_a_mount_go_to_the_kernel(tier):
    for options in ["bind-propagation=rshared", "z", "Z", "shared", "rslave", "suid", "dev", "o=bind", "bind-nonrecursive", "U", "idmap", "relabel=shared", "target=/y,target=", "size=1", "mode=777", "nosuch"]:
        tier.refuses(f"FROM base\nRUN --mount=type=bind,target=/x,{options} true")


@incident("CVE-2024-9675")
def the_name_of_a_cache_is_a_path(tier):
    for name in ["../../../../etc", "..", ".", "/etc", "a/../../b", f"../../../../../../../..{tier.outside}", "x" * 4096, "a%00b", "//", "a\\\\b"]:
        tier.harmless(f"FROM base\nRUN --mount=type=cache,id={name},target=/x test -z \"$(ls -A /x)\" && touch /x/f")
    assert not os.path.exists("/etc/f")


@incident("CVE-2025-4953")
def what_is_written_to_a_mount_stays(tier):
    tier.runs("FROM base AS one\nRUN --mount=type=bind,target=/c,rw echo left-behind > /c/new && echo left-behind > /c/Dockerfile\n"
        "FROM base\nRUN --mount=type=bind,target=/c test ! -e /c/new && ! grep -q ^left /c/Dockerfile\nCOPY --from=one / /one\nRUN test ! -e /one/c/new", "-t", "kept")
    # What was thrown away is there until somebody works with the store again.
    subprocess.run([tier.wythe, "--store", tier.store, "prune"], capture_output=True)
    found = [os.path.join(folder, name) for folder, _, names in os.walk(tier.top) for name in names if name == "new"]
    assert not found, found


@incident("CVE-2024-23652")
def places_of_mounts_are_removed_behind_a_link(tier):
    leads = [tier.outside, f"../../../../../../..{tier.outside}"]
    for lead in leads:
        tier.harmless(f"FROM base\nRUN mkdir -p /a/b\nRUN --mount=type=tmpfs,target=/a/b/empty --mount=type=secret,id=none,target=/a/b/nothing mv /a/b /a/c 2> /dev/null; mv /a /z; mkdir /a && ln -s {lead} /a/b\nRUN true")
    shared = "FROM base\nRUN --mount=type=cache,target=/s,sharing=private mkdir -p /s/b\nRUN --mount=type=cache,target=/s,sharing=private --mount=type=tmpfs,target=/s/b/empty "
    tier.harmless(shared + f"mv /s/b /s/c 2> /dev/null; ln -s {tier.outside} /s/b; true")


@incident("GHSA-32pv-7hq5-qhwq")
def what_is_removed_has_dots_in_its_name(tier):
    victims = [("v", FOLDER, None), ("v/kept", FILE, "kept"), ("w", FOLDER, None), ("w/kept", FILE, "kept")]
    for name in [".wh...", ".wh..", ".wh.", "v/.wh...", "v/../.wh.w", "v/.wh../w", ".wh./w", "v/.wh...."]:
        # What is no name is refused, or removes nothing beside it.
        said = tier.harmless("FROM hostile\nRUN ls /v/kept /w/kept", *tier.image(*victims, (name, FILE, "")))
        assert "No such file" not in said, said
    for target in ["/v/..", "/v/.", "/v/../..", "/.."]:
        tier.harmless(f"FROM hostile\nCOPY Dockerfile {target}\nRUN test -e /v/kept && test -e /w/kept", *tier.image(*victims))


@incident("GHSA-g2h8-426c-7976")
def files_are_written_out_through_links_of_the_image(tier):
    out = os.path.join(tier.top, "out")
    text = f"FROM base AS made\nRUN ln -s {tier.outside} /link && mkdir /d && ln -s ../../outside /d/up\nFROM scratch\nCOPY --from=made /link /link\nCOPY --from=made /d /d\nCOPY Dockerfile /d/up/canary\n"
    tier.harmless(text, "-o", f"type=local,dest={out}")
    # What lies there already is replaced and not followed.
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    os.symlink(tier.outside, os.path.join(out, "d"))
    os.symlink(os.path.join(tier.outside, "canary"), os.path.join(out, "f"))
    tier.harmless("FROM scratch\nCOPY Dockerfile /d/canary\nCOPY Dockerfile /f", "-o", f"type=local,dest={out}")


@incident("BuildKit-77b65abf4")
def a_platform_is_a_path(tier):
    for key in ["os", "architecture", "variant"]:
        flags = tier.image(config=lambda own: {**own, key: "../../outside"})
        tier.harmless("FROM hostile\nCOPY Dockerfile /f", *flags, "-o", f"type=local,dest={tier.top}/platforms")
    tier.refuses("FROM base\nCOPY Dockerfile /f", "--platform=linux/../../x")


@incident("CVE-2026-55686")
def a_working_directory_is_made_behind_a_link(tier):
    for lead in [tier.outside, f"../../../../../..{tier.outside}"]:
        tier.harmless("FROM hostile\nUSER 1000\nWORKDIR /w/new\nRUN pwd", *tier.image(("w", LINK, lead)))


@incident("CVE-2018-15664")
def a_stage_is_copied_while_it_runs(tier):
    tier.runs("FROM base AS made\nRUN mkdir -p /p/d && echo 1 > /p/d/f; (setsid sh -c 'cd /p; while :; do rm -rf d; ln -s /etc d; rm d; mkdir d; echo 2 > d/f; done' &); sleep 0.2; true\n"
        "FROM base\nCOPY --from=made /p /one\nRUN sleep 0.3\nCOPY --from=made /p /two\nRUN test -L /one/d || test ! -e /one/d/passwd && diff -r /one /two")


@incident("CVE-2026-41567")
def programs_of_the_image_unpack_archives(tier):
    names = ["xz", "unpigz", "gzip", "tar", "git", "zstd", "bzip2"]
    script = f"#!/bin/sh\necho ran > {tier.outside}/ran; echo ran > /ran\n"
    entries = [("usr", FOLDER, None), ("usr/bin", FOLDER, None), *((f"usr/bin/{name}", FILE, script) for name in names)]
    context = tier.context("FROM hostile\nADD x.tar.xz x.tar.gz /x/\nRUN test ! -e /ran && test -e /x/f")
    with open(os.path.join(context, "f"), "w") as file:
        file.write("unpacked")
    for kind in ["xz", "gz"]:
        with tarfile.open(os.path.join(context, f"x.tar.{kind}"), f"w:{kind}") as file:
            file.add(os.path.join(context, "f"), "f")
    config = lambda own: {**own, "config": {**own["config"], "Env": ["PATH=/usr/bin:/bin"]}}
    tier.runs("", *tier.image(*entries, config=config), context=context)


@incident("CVE-2021-41089")
def modes_are_changed_through_a_link(tier):
    flags = tier.image(("link", LINK, f"{tier.outside}/canary"), ("dir", LINK, tier.outside))
    tier.harmless("FROM hostile\nCOPY --chmod=777 Dockerfile /link", *flags)
    tier.harmless("FROM hostile\nCOPY --chmod=777 --chown=5:5 Dockerfile /dir/canary", *flags)


@incident("CVE-2022-23648")
def a_volume_is_a_path_of_the_machine(tier):
    flags = tier.image(("link", LINK, tier.outside))
    for volume in ["/../../etc", "/link", f"/../../../..{tier.outside}"]:
        tier.harmless(f"FROM hostile\nVOLUME {volume}\nRUN true", *flags)


@incident("GHSA-g3g9-5vj6-r3gj")
def what_a_step_leaves_is_a_link(tier):
    out = os.path.join(tier.top, "collected")
    tier.harmless(f"FROM base AS made\nRUN ln -s {tier.outside}/canary /out\nFROM scratch\nCOPY --from=made /out /out", "-o", f"type=local,dest={out}")
    tier.harmless("FROM base AS made\nRUN ln -s ../../../outside/canary /out\nFROM scratch\nCOPY --from=made /out /out\nCOPY Dockerfile /out", "-o", f"type=local,dest={out}")


@incident("kaniko-586")
def files_are_copied_over_the_builder(tier):
    before = hashlib.sha256(open(tier.wythe, "rb").read()).digest()
    trigger = {"OnBuild": [f"COPY Dockerfile {tier.wythe}", "COPY Dockerfile /proc/self/exe"]}
    tier.harmless("FROM hostile\nRUN true", *tier.image(config=lambda own: {**own, "config": {**own["config"], **trigger}}))
    tier.harmless(f"FROM base\nCOPY Dockerfile {tier.wythe}\nRUN true")
    assert hashlib.sha256(open(tier.wythe, "rb").read()).digest() == before, "the program was changed"


@incident("kaniko-1553")
def credentials_of_the_builder_are_in_steps(tier):
    home = os.path.join(tier.top, "home")
    os.makedirs(os.path.join(home, ".docker"), exist_ok=True)
    with open(os.path.join(home, ".docker", "config.json"), "w") as file:
        file.write('{"auths": {"r.example": {"auth": "c2luZ3M6c2luZ3M="}}}')
    said = tier.runs("FROM base\nRUN find / -xdev -name config.json -o -xdev -name 'wythe*' -type f | sed 's/^/found /'", env={**os.environ, "HOME": home})
    assert " found /" not in said.replace("sed 's/^/found /'", ""), said


@incident("CVE-2024-23650")
def configurations_are_cut_and_twisted(tier):
    def without(key):
        return lambda own: {name: value for name, value in own.items() if name != key}

    def within(key, value):
        return lambda own: {**own, "config": {**own["config"], key: value}}

    def top(key, value):
        return lambda own: {**own, key: value}

    odd = [None, [], {}, "", 0, -1, 1e400, "\0", ["\0"], [None], {"a": None}, True]
    twisted = [without(key) for key in ["history", "rootfs", "config", "created", "os", "architecture"]]
    twisted += [top(key, value) for key in ["history", "rootfs", "config", "created"] for value in odd[:9]]
    twisted += [within(key, value) for key in ["Env", "Cmd", "User", "WorkingDir", "Labels"] for value in [odd[0], odd[3], odd[8], odd[9]]]
    for config in twisted:
        code, said = tier.build("FROM hostile\nCOPY Dockerfile /f", *tier.image(config=config))
        assert code not in (70, 101) and code >= 0 and "panicked" not in said, said


def table():
    """The rows of the page: an incident, what is tried, and where."""
    marks = lambda tiers: " | ".join("tried" if tier in tiers else "no" for tier in EVERYWHERE)
    return [f"| {name} | {tries.__name__.replace('_', ' ')} | {marks(tiers)} |" for name, tiers, tries in INCIDENTS]


def unlisted():
    """Rows that the page beside this lacks, and rows of its own."""
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "docs", "incidents.md")
    if not os.path.exists(page):
        return []
    with open(page) as file:
        listed = {line for line in file.read().splitlines() if line.endswith(("| tried |", "| no |"))}
    return sorted(listed ^ set(table()))


def main():
    if sys.argv[1:] == ["--table"]:
        print(*table(), sep="\n")
        return 0
    wythe, base = (os.path.abspath(word) for word in sys.argv[1:3])
    isolation, only = sys.argv[3], sys.argv[4:]
    assert isolation in EVERYWHERE, isolation
    passed = failed = 0
    top = tempfile.mkdtemp(prefix="wythe-incidents.")
    try:
        for name, tiers, tries in INCIDENTS:
            if isolation not in tiers or (only and name not in only):
                continue
            claim = f"{name} in {isolation}: {tries.__name__.replace('_', ' ')}"
            at = os.path.join(top, name)
            os.makedirs(at)
            try:
                tries(Tier(wythe, base, isolation, at))
                passed += 1
                print(f"ok    {claim}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as problem:
                failed += 1
                print(f"FAIL  {claim}:\n{problem}", flush=True)
    finally:
        # Directories of layers belong to subordinate ids.
        removed = subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", top], capture_output=True)
        if removed.returncode != 0:
            shutil.rmtree(top, ignore_errors=True)
    for row in unlisted():
        failed += 1
        print(f"FAIL  docs/incidents.md and this differ in: {row}")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
