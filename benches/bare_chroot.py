#!/usr/bin/env python3
"""The floor of a build: the commands of its Dockerfile in a bare chroot, all stages at once.

    bare_chroot.py prime STORE REFERENCE    fetches and unpacks a base, by skopeo and umoci
    bare_chroot.py build STORE CONTEXT      runs what the Dockerfile there says

No isolation, no snapshot, no image: what is left is what the commands themselves take. It knows the
workloads of the measuring program and nothing more (FROM, ARG, WORKDIR, RUN, COPY, USER, CMD), and is no
builder. Steps before the first COPY of a stage are kept by their text, as a cache would keep them. As root;
`side_by_side.sh` gives it to the driver as a peer by `bare_chroot.json`.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading

SHELL = ["/bin/sh", "-c"]


def call(*argv, **options):
    subprocess.run(argv, check=True, **options)


def base_of(store, reference):
    return os.path.join(store, "base", re.sub(r"[/:]", "_", reference))


def prime(store, reference):
    target = base_of(store, reference)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    layout = target + ".oci"
    call("skopeo", "copy", "-q", "--src-tls-verify=false", "docker://" + reference, f"oci:{layout}:base")
    call("umoci", "raw", "unpack", "--image", layout + ":base", target)
    shutil.rmtree(layout)


class Stage:
    """One FROM and the instructions below it."""

    def __init__(self, base, name):
        self.base, self.name, self.steps = base, name, []
        self.done = threading.Event()
        self.root = None
        self.failure = None


def parse(text):
    """The stages, and the values of the ARGs above them."""
    stages, values = [], {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        elif word == "ARG" and not stages:
            name, _, value = rest.partition("=")
            values[name] = value
        elif word and not word.startswith("#"):
            stages[-1].steps.append((word, rest.strip()))
    return stages, values


def own_directory(store, key):
    """Where the files lie that the steps of `key` wrote, and whether they ended well before."""
    own = os.path.join(store, "own", key)
    known = os.path.exists(own + ".done")
    if not known:
        shutil.rmtree(own, ignore_errors=True)
    for part in ("upper", "work", "root"):
        os.makedirs(os.path.join(own, part), exist_ok=True)
    return own, known


def mounted(own, lower):
    root = os.path.join(own, "root")
    options = f"lowerdir={':'.join(lower)},upperdir={own}/upper,workdir={own}/work"
    call("mount", "-t", "overlay", "overlay", "-o", options, root)
    for place in ("proc", "dev"):
        os.makedirs(os.path.join(root, place), exist_ok=True)
    call("mount", "-t", "proc", "proc", os.path.join(root, "proc"))
    call("mount", "--rbind", "/dev", os.path.join(root, "dev"))
    return root


def resolver(root):
    """The machine's own name servers, as every builder gives them to a step that has the network."""
    target = os.path.join(root, "etc/resolv.conf")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile("/etc/resolv.conf", target)


def run(stage, steps, root, stages, values, context):
    """Runs instructions of one stage; `stages` by name are where COPY --from reads."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    directory = "/"
    for word, rest in steps:
        if word == "ARG":
            name, given, value = rest.partition("=")
            environment[name] = value if given else values.get(name, "")
        elif word == "WORKDIR":
            directory = rest
            os.makedirs(root + directory, exist_ok=True)
        elif word == "RUN":
            chroot = ["env", "-i", *(f"{k}={v}" for k, v in environment.items())]
            chroot += ["chroot", root, *SHELL, f"cd {directory} && {rest}"]
            call(*chroot, stdin=subprocess.DEVNULL)
        elif word == "COPY":
            copy(rest.split(), root, directory, stages, context)
        elif word not in ("USER", "CMD"):
            raise ValueError(f"{word} is not known here")


def copy(words, root, directory, stages, context):
    source_root = context
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")]
        source.done.wait()
        if source.failure:
            raise RuntimeError(f"stage {source.name} failed")
        source_root = source.root
    source, target = words
    source = os.path.join(source_root, source.lstrip("/"))
    target = root + os.path.normpath(os.path.join(directory, target))
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
        source += "/."
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    call("cp", "-a", source, target)


def build_stage(store, stage, stages, values, context):
    base = base_of(store, stage.base)
    first_copy = next((i for i, (word, _) in enumerate(stage.steps) if word == "COPY"), len(stage.steps))
    before, after = stage.steps[:first_copy], stage.steps[first_copy:]
    key = hashlib.sha256(repr((stage.base, before, sorted(values.items()))).encode()).hexdigest()
    own, known = own_directory(store, key)
    if not known:
        root = mounted(own, [base])
        resolver(root)
        run(stage, before, root, stages, values, context)
        open(own + ".done", "w").close()
        call("umount", "-R", "-l", root)
    lower = [os.path.join(own, "upper"), base]
    top, _ = own_directory(store, f"{key}-top-{os.getpid()}-{stage.name}")
    stage.root = mounted(top, lower)
    # what the steps before left in the environment counts for those after
    settings = [step for step in before if step[0] in ("ARG", "WORKDIR")]
    run(stage, settings + after, stage.root, stages, values, context)


def build(store, context):
    with open(os.path.join(context, "Dockerfile"), encoding="utf-8") as file:
        stages, values = parse(file.read())
    by_name = {stage.name: stage for stage in stages if stage.name}

    def work(stage):
        try:
            build_stage(store, stage, by_name, values, context)
        except Exception as failure:  # told below, by the thread that can end the program
            stage.failure = failure
        finally:
            stage.done.set()
    threads = [threading.Thread(target=work, args=(stage,)) for stage in stages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stage in stages:
        if stage.root:
            call("umount", "-R", "-l", stage.root)
    failures = [f"stage {stage.name or 'last'}: {stage.failure}" for stage in stages if stage.failure]
    if failures:
        sys.exit("\n".join(failures))


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("prime", "build"):
        sys.exit(__doc__)
    {"prime": prime, "build": build}[sys.argv[1]](sys.argv[2], sys.argv[3])


main()
