#!/usr/bin/env python3
"""archive_digest.py FILE: prints the digest of the image in an OCI archive, after it has read every blob
and compared it with its name, and found everything that the image refers to, with its size."""
import hashlib
import json
import sys
import tarfile

blobs, documents, index = {}, {}, None
with tarfile.open(sys.argv[1]) as archive:
    for member in archive:
        if member.name == "index.json":
            index = json.load(archive.extractfile(member))
        if not member.name.startswith("blobs/sha256/") or not member.isfile():
            continue
        digest, file, small = hashlib.sha256(), archive.extractfile(member), b""
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            small = small + chunk if len(small) < 1 << 20 else small
        name = member.name.rsplit("/", 1)[1]
        if digest.hexdigest() != name:
            sys.exit(f"blob {name} has the digest {digest.hexdigest()}")
        blobs["sha256:" + name] = member.size
        documents["sha256:" + name] = small


def follow(descriptor):
    digest = descriptor["digest"]
    if blobs.get(digest) != descriptor["size"]:
        sys.exit(f"{digest} of {descriptor['size']} bytes has {blobs.get(digest)} bytes")
    if "manifest" in descriptor["mediaType"] or "index" in descriptor["mediaType"]:
        document = json.loads(documents[digest])
        for child in [*document.get("manifests", []), *document.get("layers", []), document.get("config")]:
            if child:
                follow(child)


for root in index["manifests"]:
    follow(root)
    print(root["digest"])
