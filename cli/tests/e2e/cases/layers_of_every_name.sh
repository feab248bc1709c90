# Layers under every name that tools give them, and those that are published elsewhere.
command -v python3 > /dev/null || skip "python3 is not installed"
cat > shapes.py <<'X'
import gzip, hashlib, http.server, io, json, os, subprocess, sys, tarfile, threading
def tar(name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name); entry.size = len(name)
        archive.addfile(entry, io.BytesIO(name.encode()))
    return out.getvalue()
def digest(data): return "sha256:" + hashlib.sha256(data).hexdigest()
def put(layout, data):
    os.makedirs(f"{layout}/blobs/sha256", exist_ok=True)
    open(f"{layout}/blobs/sha256/{digest(data)[7:]}", "wb").write(data)
def entry(kind, data, **more): return {"mediaType": kind, "digest": digest(data), "size": len(data), **more}
def layout(name, kind, blob, plain, keep=True, **more):
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(plain)]}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": entry("application/vnd.oci.image.config.v1+json", config), "layers": [entry(kind, blob, **more)]}).encode()
    for data in [config, manifest] + [blob] * keep: put(name, data)
    open(f"{name}/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
    json.dump({"schemaVersion": 2, "manifests": [entry("application/vnd.oci.image.manifest.v1+json", manifest)]}, open(f"{name}/index.json", "w"))
docker, oci = "application/vnd.docker.image.rootfs.", "application/vnd.oci.image.layer."
plain = tar("file")
zstd = subprocess.run(["zstd", "-q"], input=plain, stdout=subprocess.PIPE, check=True).stdout if os.system("command -v zstd > /dev/null") == 0 else None
packed = gzip.compress(plain, mtime=0)
kinds = [docker + "diff.tar", docker + "foreign.diff.tar", docker + "foreign.diff.tar.gzip", oci + "nondistributable.v1.tar", oci + "nondistributable.v1.tar+gzip"]
if zstd: kinds += [docker + "diff.tar.zstd", oci + "nondistributable.v1.tar+zstd"]
for at, kind in enumerate(kinds):
    blob = zstd if kind.endswith("zstd") else packed if kind.endswith("gzip") else plain
    layout(f"shape{at}", kind, blob, plain)
class Server(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        asked.append(self.path)
        body = {"/layer": packed, "/other": b"other"}.get(self.path.removeprefix(at))
        self.send_response(200 if body else 404); self.send_header("Content-Length", str(len(body or b""))); self.end_headers()
        self.wfile.write(body or b"")
asked = []
server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
# What is published is elsewhere, and not on this machine, where no image has somebody fetch anything from.
here, at = f"http://127.0.0.1:{server.server_port}", "http://layers.example"
os.environ["HTTP_PROXY"] = here
kind = docker + "foreign.diff.tar.gzip"
layout("there", kind, packed, plain, keep=False, urls=[at + "/gone", at + "/layer"])
layout("gone", kind, packed, plain, keep=False, urls=[at + "/gone"])
layout("forged", kind, packed, plain, keep=False, urls=[at + "/other"])
layout("inside", kind, packed, plain, keep=False, urls=[here + "/layer", "http://169.254.169.254/layer"])
status = subprocess.run(["sh", "-eu", "-c", sys.argv[1]]).returncode
assert all(path.startswith(at) for path in asked) and asked, asked
sys.exit(status)
X
mkdir context
printf 'FROM base\nCOPY --from=base /file /copy\n' > context/Dockerfile
export script='
build() { "$WYTHE" --store "$1-store" build --platform linux/amd64 --build-context "base=oci-layout://$1" "${2--otype=local,dest=out-$1}" context; }
for shape in shape*[0-9] there; do
  build "$shape"
  [ "$(cat "out-$shape/copy" "out-$shape/file")" = filefile ]
done
# A layer that is not to be handed on stays what it is, in an image on top of it, too.
build there -otype=oci,dest=there.tar
mkdir unpacked && tar -xf there.tar -C unpacked
grep -l "nondistributable.v1.tar+gzip\",\"digest\":\"sha256:[0-9a-f]*\",\"size\":[0-9]*,\"urls\":\\[\"http" unpacked/blobs/sha256/* > /dev/null
for shape in gone forged inside; do
  if build "$shape" 2> told; then exit 1; fi
  cat told
done
grep -q "which the image names: it leads to a private address" told
'
python3 shapes.py "$script"
