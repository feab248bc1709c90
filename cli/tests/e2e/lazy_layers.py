"""Reads layers as nodes do that fetch single files of them, by what the formats say and nothing of ours.

    lazy_layers.py soci LAYOUT            every SOCI index (version 2) of a layout, its zTOCs and their spans
    lazy_layers.py zstd:chunked LAYOUT    every layer of zstd:chunked in a layout

Each file is put together from those bytes of the layer alone that the table names, and compared with the one in
the tar stream of the whole. Prints what was read; fails with the first thing that is not as it is said to be.
"""

import base64
import collections
import ctypes
import gzip
import hashlib
import io
import json
import os
import struct
import sys
import tarfile

WINDOW = 32768
SOCI = "application/vnd.amazon.soci.index.v2+json"
TYPES = {
    tarfile.REGTYPE: "reg", tarfile.AREGTYPE: "reg", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo",
}


def same(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {str(found)[:300]}, not {str(expected)[:300]}")


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    def __init__(self, path):
        self.path = path
        with open(os.path.join(path, "index.json"), "rb") as file:
            self.index = json.load(file)

    def blob(self, descriptor):
        with open(os.path.join(self.path, "blobs", *descriptor["digest"].split(":")), "rb") as file:
            data = file.read()
        same("length of " + descriptor["digest"], len(data), descriptor["size"])
        same("digest", sha256(data), descriptor["digest"])
        return data

    def json(self, descriptor):
        return json.loads(self.blob(descriptor))


def entries(tar):
    """The entries of a tar stream, each with the bytes of its file, and where these are."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errorlevel=2) as archive:
        for member in archive:
            data = tar[member.offset_data:member.offset_data + member.size] if member.isreg() else b""
            yield member, data


def header_name(member):
    """tarfile drops the slash that a directory's name ends with in its header."""
    return member.name + "/" if member.isdir() else member.name


def time_of(text):
    """Seconds, of RFC 3339 in UTC."""
    import datetime
    same("time zone", text[-1], "Z")
    at = datetime.datetime.fromisoformat(text[:-1].split(".")[0] + "+00:00")
    return int((at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds())


class FlatTable:
    """A table of a FlatBuffer: fields are found through a table of their places."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.places = at - struct.unpack_from("<i", data, at)[0]
        self.length = struct.unpack_from("<H", data, self.places)[0]

    def place(self, field):
        slot = 4 + 2 * field
        offset = struct.unpack_from("<H", self.data, self.places + slot)[0] if slot < self.length else 0
        return self.at + offset if offset else None

    def number(self, field, form, default=0):
        at = self.place(field)
        return default if at is None else struct.unpack_from("<" + form, self.data, at)[0]

    def pointed(self, field):
        at = self.place(field)
        return None if at is None else at + struct.unpack_from("<I", self.data, at)[0]

    def bytes(self, field):
        at = self.pointed(field)
        return b"" if at is None else bytes_at(self.data, at)

    def table(self, field):
        return FlatTable(self.data, self.pointed(field))

    def vector(self, field, read):
        at = self.pointed(field)
        if at is None:
            return []
        count = struct.unpack_from("<I", self.data, at)[0]
        places = [at + 4 + 4 * number for number in range(count)]
        return [read(self.data, place + struct.unpack_from("<I", self.data, place)[0]) for place in places]


def bytes_at(data, at):
    return data[at + 4:at + 4 + struct.unpack_from("<I", data, at)[0]]


class ZStream(ctypes.Structure):
    _fields_ = [
        ("next_in", ctypes.c_void_p), ("avail_in", ctypes.c_uint), ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p), ("avail_out", ctypes.c_uint), ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p), ("state", ctypes.c_void_p), ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p), ("opaque", ctypes.c_void_p), ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong), ("reserved", ctypes.c_ulong),
    ]


def inflate_from(compressed, checkpoint, length):
    """What a span uncompresses to: the bits that are left of its first byte and the window come first."""
    zlib, stream = ctypes.CDLL("libz.so.1"), ZStream()
    at = 1 if checkpoint.bits else 0
    same("inflateInit", zlib.inflateInit2_(ctypes.byref(stream), -15, b"1.2.11", ctypes.sizeof(stream)), 0)
    if checkpoint.bits:
        value = compressed[0] >> (8 - checkpoint.bits)
        same("inflatePrime", zlib.inflatePrime(ctypes.byref(stream), checkpoint.bits, value), 0)
    same("inflateSetDictionary", zlib.inflateSetDictionary(ctypes.byref(stream), checkpoint.window, WINDOW), 0)
    given, out = ctypes.create_string_buffer(compressed[at:]), ctypes.create_string_buffer(max(length, 1))
    stream.next_in, stream.avail_in = ctypes.cast(given, ctypes.c_void_p), len(compressed) - at
    stream.next_out, stream.avail_out = ctypes.cast(out, ctypes.c_void_p), length
    result = zlib.inflate(ctypes.byref(stream), 2)
    if result not in (0, 1):
        sys.exit(f"inflate: {result}")
    same("bytes of a span", length - stream.avail_out, length)
    zlib.inflateEnd(ctypes.byref(stream))
    return out.raw[:length]


Checkpoint = collections.namedtuple("Checkpoint", "at plain bits window")


def checkpoints_of(data):
    count, span = struct.unpack_from("<iq", data)
    each = 8 + 8 + 1 + WINDOW
    same("length of the checkpoints", len(data), 12 + count * each)
    found = []
    for at in range(12, len(data), each):
        compressed, plain, bits = struct.unpack_from("<qqB", data, at)
        found.append(Checkpoint(compressed, plain, bits, data[at + 17:at + each]))
    return span, found


class Layer:
    """A layer of which only the spans are read that hold what is asked for."""

    def __init__(self, blob, info, plain):
        self.blob, self.plain, self.read = blob, plain, {}
        same("compression", info.number(0, "b", 1), 1)
        self.span, self.checkpoints = checkpoints_of(info.bytes(3))
        self.digests = info.vector(2, bytes_at)
        same("last span", info.number(1, "i"), len(self.checkpoints) - 1)
        same("digests", len(self.digests), len(self.checkpoints))
        same("first checkpoint", self.checkpoints[0].plain, 0)

    def ends(self, number):
        if number + 1 == len(self.checkpoints):
            return len(self.blob), self.plain
        return self.checkpoints[number + 1][:2]

    def get(self, number):
        if number not in self.read:
            here, (end, plain) = self.checkpoints[number], self.ends(number)
            compressed = self.blob[here.at - (1 if here.bits else 0):end]
            same(f"digest of span {number}", sha256(compressed), self.digests[number].decode())
            self.read[number] = inflate_from(compressed, here, plain - here.plain)
        return self.read[number]

    def piece(self, start, length):
        out = b""
        for number, here in enumerate(self.checkpoints):
            end = self.ends(number)[1]
            if here.plain < start + length and start < end:
                out += self.get(number)[max(start - here.plain, 0):start + length - here.plain]
        return out


def soci_layer(blob, ztoc):
    root = FlatTable(ztoc, struct.unpack_from("<I", ztoc)[0])
    same("version", root.bytes(0), b"0.9")
    if not root.bytes(1):
        sys.exit("nothing says what made the zTOC")
    same("compressed length", root.number(2, "q"), len(blob))
    tar = gzip.decompress(blob)
    same("plain length", root.number(3, "q"), len(tar))
    layer = Layer(blob, root.table(5), len(tar))
    rows, files, next_header = root.table(4).vector(0, FlatTable), 0, 0
    expected = list(entries(tar))
    same("entries", len(rows), len(expected))
    for row, (member, data) in zip(rows, expected):
        name = row.bytes(0).decode()
        same("name", name, header_name(member))
        same(f"type of {name}", row.bytes(1).decode(), TYPES[member.type])
        same(f"place of {name}", row.number(2, "q"), member.offset_data)
        same(f"size of {name}", row.number(3, "q"), member.size if member.isreg() else 0)
        same(f"target of {name}", row.bytes(4).decode(), member.linkname)
        numbers = [row.number(5, "q"), row.number(6, "I"), row.number(7, "I")]
        same(f"mode and owner of {name}", numbers, [member.mode, member.uid, member.gid])
        same(f"time of {name}", time_of(row.bytes(10).decode()), int(float(member.mtime) // 1))
        same(f"device of {name}", [row.number(11, "q"), row.number(12, "q")], [member.devmajor, member.devminor])
        xattrs = {one.bytes(0): one.bytes(1) for one in row.vector(13, FlatTable)}
        said = {key.encode(): value.encode("utf-8", "surrogateescape")
                for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
        same(f"attributes of {name}", xattrs, said)
        # A reader takes what is between two entries for a header.
        if row.number(2, "q") < next_header:
            sys.exit(f"{name} begins within the entry before it")
        next_header = -(-(row.number(2, "q") + row.number(3, "q")) // 512) * 512
        if member.isreg() and member.size:
            same(f"bytes of {name}", layer.piece(row.number(2, "q"), member.size), data)
            files += 1
    return len(layer.checkpoints), files, sum(1 for one in layer.checkpoints if one.bits)


def soci(layout):
    found = 0
    for root in layout.index["manifests"]:
        index = layout.json(root)
        listed = {entry["digest"]: entry for entry in index.get("manifests", [])}
        for entry in listed.values():
            if entry.get("artifactType") != SOCI:
                continue
            image = listed[entry["annotations"]["com.amazon.soci.image-manifest-digest"]]
            same("platform", entry["platform"], image["platform"])
            manifest, index_manifest = layout.json(image), layout.json(entry)
            same("index of the image", manifest["annotations"]["com.amazon.soci.index-digest"], entry["digest"])
            same("type of the image", image["mediaType"], "application/vnd.oci.image.manifest.v1+json")
            same("type of the index", entry["mediaType"], "application/vnd.oci.image.manifest.v1+json")
            same("configuration", index_manifest["config"]["mediaType"], SOCI)
            same("configuration", layout.blob(index_manifest["config"]), b"{}")
            if "subject" in index_manifest or not index_manifest["layers"]:
                sys.exit("the index has a subject, or no layers")
            layers = {layer["digest"]: layer for layer in manifest["layers"]}
            for ztoc in index_manifest["layers"]:
                same("type of a zTOC", ztoc["mediaType"], "application/octet-stream")
                said = ztoc["annotations"]
                layer = layers[said["com.amazon.soci.image-layer-digest"]]
                same("type of a layer", said["com.amazon.soci.image-layer-mediaType"], layer["mediaType"])
                spans, files, inside = soci_layer(layout.blob(layer), layout.blob(ztoc))
                print(f"zTOC of {spans} spans, {inside} from within a byte, {files} files")
            found += 1
    if not found:
        sys.exit("no SOCI index")


def unzstd(data, length):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    out = ctypes.create_string_buffer(max(length, 1))
    made = library.ZSTD_decompress(out, ctypes.c_size_t(length), data, ctypes.c_size_t(len(data)))
    if library.ZSTD_isError(made):
        sys.exit("zstd cannot decompress a piece")
    same("plain length", made, length)
    return out.raw[:length]


def skipped(blob, at, length):
    """The content of a frame that decoders skip, which is `at` there."""
    same("skippable frame", struct.unpack_from("<II", blob, at - 8), (0x184D2A50, length))
    return blob[at:at + length]


def crc64(data):
    """As tar-split has it: of ISO 3309, which is slow here, and taken of files that are not long."""
    value = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        value = CRC64[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFFFFFFFFFF


def crc64_row(value):
    for _ in range(8):
        value = value >> 1 ^ (0xD800000000000000 if value & 1 else 0)
    return value


CRC64 = [crc64_row(value) for value in range(256)]


def chunked_layer(blob, said):
    prefix = "io.github.containers.zstd-chunked."
    at, length, plain, form = (int(text) for text in said[prefix + "manifest-position"].split(":"))
    split_at, split_length, split_plain = (int(text) for text in said[prefix + "tarsplit-position"].split(":"))
    footer = skipped(blob, len(blob) - 64, 64)
    same("footer", struct.unpack("<7Q8s", footer),
         (at, length, plain, form, split_at, split_length, split_plain, b"GNUlInUx"))
    packed = skipped(blob, at, length)
    same("digest of the table", sha256(packed), said[prefix + "manifest-checksum"])
    toc = json.loads(unzstd(packed, plain))
    same("version", (toc["version"], form), (1, 1))
    packed = skipped(blob, split_at, split_length)
    same("digest of the split", sha256(packed), toc["tarSplitDigest"])
    split = [json.loads(line) for line in unzstd(packed, split_plain).splitlines()]

    files = {}
    tar = read_rows(blob, toc["entries"], files)
    again = b""
    for number, line in enumerate(split):
        same("position", line["position"], number)
        payload = base64.b64decode(line["payload"] or "")
        if line["type"] == 2:
            again += payload
        elif line.get("size"):
            data = files[line["name"]]
            same("size", line["size"], len(data))
            if len(data) <= 1 << 16:
                same("checksum", payload, struct.pack(">Q", crc64(data)))
            again += data
    members = list(entries(again))
    rows = [row for row in toc["entries"] if row["type"] != "chunk"]
    same("entries", len(rows), len(members))
    for row, (member, data) in zip(rows, members):
        name = row["name"]
        same("name", name, header_name(member))
        same(f"type of {name}", row["type"], TYPES[member.type])
        same(f"target of {name}", row.get("linkName", ""), member.linkname)
        numbers = [row.get(key, 0) for key in ("mode", "uid", "gid", "size", "devMajor", "devMinor")]
        size = member.size if member.isreg() else 0
        same(f"header of {name}", numbers,
             [member.mode, member.uid, member.gid, size, member.devmajor, member.devminor])
        same(f"time of {name}", time_of(row.get("modtime", "1970-01-01T00:00:00Z")), int(member.mtime))
        xattrs = {key: base64.b64decode(value) for key, value in row.get("xattrs", {}).items()}
        said_there = {key[len("SCHILY.xattr."):]: value.encode("utf-8", "surrogateescape")
                      for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
        same(f"attributes of {name}", xattrs, said_there)
    return again, len(files), tar


def read_rows(blob, rows, files):
    """Reads each file from where its rows say it is; gives how many pieces there were."""
    pieces = 0
    for number, row in enumerate(rows):
        if row["type"] != "reg" or not row.get("size"):
            if row["type"] == "reg":
                same("digest of nothing", row.get("digest", ""), "")
            continue
        more = []
        for later in rows[number + 1:]:
            if later["type"] != "chunk":
                break
            more.append(later)
        parts, data = [row, *more], b""
        for part, following in zip(parts, [*parts[1:], None]):
            end = following["offset"] if following else row["endOffset"]
            same("place of a piece", part.get("chunkOffset", 0), len(data))
            piece = unzstd(blob[part["offset"]:end], part.get("chunkSize") or row["size"] - len(data))
            if more:
                same("digest of a piece", sha256(piece), part["chunkDigest"])
            data, pieces = data + piece, pieces + 1
        same(f"digest of {row['name']}", sha256(data), row["digest"])
        files[row["name"]] = data
    return pieces


def zstd_chunked(layout):
    found = 0
    for root in layout.index["manifests"]:
        document = layout.json(root)
        images = [layout.json(one) for one in document["manifests"]] if "manifests" in document else [document]
        for image in images:
            diff_ids = layout.json(image["config"])["rootfs"]["diff_ids"]
            for layer, diff_id in zip(image["layers"], diff_ids):
                if not any("zstd-chunked" in key for key in layer.get("annotations", {})):
                    continue
                same("type", layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd")
                blob = layout.blob(layer)
                tar, files, pieces = chunked_layer(blob, layer["annotations"])
                # To everybody else it is zstd, of the same stream.
                same("stream", sha256(tar), diff_id)
                same("stream of frames", unzstd(blob, len(tar)), tar)
                print(f"layer of {files} files in {pieces} pieces")
                found += 1
    if not found:
        sys.exit("no layer of zstd:chunked")


if __name__ == "__main__":
    {"soci": soci, "zstd:chunked": zstd_chunked}[sys.argv[1]](Layout(sys.argv[2]))
