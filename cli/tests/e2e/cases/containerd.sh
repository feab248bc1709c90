# containerd gets images of the store, and of them what it lacks. Its program is stood in for by one that keeps names and content in
# files, and pulls as it does.
command -v python3 > /dev/null || skip "python3 is not installed"
mkdir bin kept
cat > bin/ctr <<'P'
#!/usr/bin/env python3
import json, os, pathlib, sys, urllib.request
kept = pathlib.Path(os.environ["KEPT"])
names = json.loads((kept / "names").read_text()) if (kept / "names").exists() else {}
words = [word for word in sys.argv[1:] if not word.startswith("--")]
with open(kept / "log", "a") as log:
    print(*words, file=log)
def content(base, kind, digest):
    path = kept / digest.replace(":", "_")
    if not path.exists():
        with urllib.request.urlopen(f"{base}/{kind}/{digest}") as answer:
            path.write_bytes(answer.read())
    return json.loads(path.read_bytes()) if kind == "manifests" else None
match words:
    case ["images", "list", which]:
        wanted = which.removeprefix("target.digest==")
        print("\n".join(name for name, digest in names.items() if digest == wanted))
    case ["images", "pull", there]:
        repository, _, tag = there.rpartition(":")
        host, _, path = repository.partition("/")
        base = f"http://{host}/v2/{path}"
        with urllib.request.urlopen(f"{base}/manifests/{tag}") as answer:
            digest = answer.headers["Docker-Content-Digest"]
        manifest = content(base, "manifests", digest)
        for blob in [manifest["config"], *manifest["layers"]]:
            content(base, "blobs", blob["digest"])
        names[there] = digest
    case ["images", "tag", name, other]:
        names[other] = names[name]
    case ["images", "remove", name]:
        del names[name]
    case _:
        sys.exit(f"ctr: what is {words}?")
(kept / "names").write_text(json.dumps(names))
P
chmod +x bin/ctr
export KEPT="$PWD/kept"
path=$PATH
PATH="$PWD/bin:$PATH"
mkdir context
printf 'FROM base\nRUN echo one > /one\n' > context/Dockerfile
build() { "$WYTHE" build -q --build-context base=oci-layout://"$BASE" -t "$1" context; }
build held/app:1
"$WYTHE" copy held/app:1 containerd: > id 2> log
grep -q 'containerd took .* that it lacked' log
grep -q 'docker.io/held/app:1' kept/names
[ "$(grep -c 127.0.0.1 kept/names || true)" = 0 ]
# What is there gets its name.
: > kept/log
"$WYTHE" copy held/app:1 containerd:other/app:2 > again 2> log
cmp id again
[ ! -s log ]
[ "$(grep -c pull kept/log || true)" = 0 ]
grep -q 'docker.io/other/app:2' kept/names
# As the output of a build, under each of its names.
"$WYTHE" build --progress plain --build-context base=oci-layout://"$BASE" -o type=containerd -t held/built:1 -t held/built:2 context > id 2> log
for name in held/built:1 held/built:2; do grep -q "docker.io/$name" kept/names; done
# shellcheck disable=SC2086
fails "$WYTHE" build --build-context base=oci-layout://"$BASE" -o type=containerd context 2> told
grep -q 'give it one with --tag' told
# Of what is new the new layer, the configuration and the manifest come.
find kept -name 'sha256_*' | wc -l > before
printf 'RUN echo two > /two\n' >> context/Dockerfile
build held/app:2
"$WYTHE" copy held/app:2 containerd: > /dev/null
[ "$(find kept -name 'sha256_*' | wc -l)" = "$(($(cat before) + 3))" ]
rm bin/ctr
PATH=$path fails "$WYTHE" copy held/app:2 containerd: 2> log
grep -q 'ctr' log
