"""What a store says of its images, for the parts that kill processes or cut the power."""
import json
import subprocess
import sys
from pathlib import Path

ARCHIVE_DIGEST = Path(__file__).resolve().parent / "archive_digest.py"


class Wrong(Exception):
    """What was found that must not be."""


def names(must, store):
    """The digest of each name. `must` runs the program on a store, and gives what it says."""
    listed = json.loads(must(store, "images", "--format", "json"))
    return {image["name"].removeprefix("docker.io/library/"): image["digest"] for image in listed}


def saved(must, store, name, archive):
    """The digest of an image, after all of it was read by way of an archive at that path."""
    must(store, "save", "--format", "oci", "-o", str(archive), name)
    done = subprocess.run([sys.executable, ARCHIVE_DIGEST, archive], capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"the archive of {name}: {done.stderr}")
    return done.stdout.strip()
