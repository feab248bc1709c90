#!/usr/bin/env python3
"""Compares the flattened trees of two images in OCI layouts, file by file.

    compare_trees.py OURS THEIRS [--except FILE]

FILE lists paths (shell patterns) whose content differs between any two installs; a line "? PATH"
names paths that only one of the two builders leaves behind.
"""
import argparse
import fnmatch
import gzip
import hashlib
import json
import os
import sys
import tarfile


def blob(layout, descriptor):
    return os.path.join(layout, 'blobs', *descriptor['digest'].split(':'))


def document(layout, descriptor):
    with open(blob(layout, descriptor)) as f:
        return json.load(f)


def remove(tree, path):
    for key in [k for k in tree if k == path or k.startswith(path + '/')]:
        del tree[key]


def describe(tar, entry):
    kind = {tarfile.DIRTYPE: 'dir', tarfile.SYMTYPE: 'link', tarfile.CHRTYPE: 'char',
            tarfile.BLKTYPE: 'block', tarfile.FIFOTYPE: 'fifo'}.get(entry.type, 'file')
    facts = {'type': kind, 'mode': oct(entry.mode & 0o7777), 'owner': (entry.uid, entry.gid)}
    if kind == 'link':
        facts.update(target=entry.linkname, mode='-')
    if kind == 'file':
        facts['content'] = hashlib.sha256(tar.extractfile(entry).read()).hexdigest()
    caps = entry.pax_headers.get('SCHILY.xattr.security.capability')
    if caps:
        facts['capability'] = caps
    return facts


def apply(tree, path):
    opener = gzip.open if open(path, 'rb').read(2) == b'\x1f\x8b' else open
    with opener(path, 'rb') as stream, tarfile.open(fileobj=stream, mode='r|') as tar:
        fresh = set()
        for entry in tar:
            name = os.path.normpath('/' + entry.name)
            folder, base = os.path.split(name)
            if base == '.wh..wh..opq':
                for key in [k for k in tree if k.startswith(folder + '/') and k not in fresh]:
                    del tree[key]
            elif base.startswith('.wh.'):
                remove(tree, os.path.join(folder, base[4:]))
            elif entry.islnk():
                tree[name] = tree[os.path.normpath('/' + entry.linkname)]
            else:
                if not entry.isdir():
                    remove(tree, name)
                tree[name] = describe(tar, entry)
            fresh.add(name)


def flatten(layout):
    with open(os.path.join(layout, 'index.json')) as f:
        manifest = document(layout, json.load(f)['manifests'][0])
    tree = {}
    for layer in manifest['layers']:
        apply(tree, blob(layout, layer))
    return tree


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('ours')
    ap.add_argument('theirs')
    ap.add_argument('--except', dest='exceptions')
    a = ap.parse_args()
    patterns = []
    if a.exceptions:
        patterns = [l.strip() for l in open(a.exceptions) if l.strip() and not l.startswith('#')]
    alone = [p[2:] for p in patterns if p.startswith('? ')]
    ours, theirs = flatten(a.ours), flatten(a.theirs)
    bad = 0
    for path in sorted(set(ours) | set(theirs)):
        mine, other = ours.get(path), theirs.get(path)
        if mine and other and any(fnmatch.fnmatch(path, p) for p in patterns):
            mine, other = dict(mine, content=''), dict(other, content='')
        if (mine is None) != (other is None) and any(fnmatch.fnmatch(path, p) for p in alone):
            continue
        if mine != other:
            bad += 1
            print(path, mine, other)
    print(f'{len(ours)} paths, {len(theirs)} paths, {bad} differ')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
