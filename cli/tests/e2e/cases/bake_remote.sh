# Definitions of repositories and archives: their files, contexts and Dockerfiles are of there, unless they say that they
# are of the working directory; what they want of this machine beyond that is granted or refused.
command -v git > /dev/null || skip "git is not installed"
command -v python3 > /dev/null || skip "python3 is not installed"
export BASE
mkdir -p served work/sub work/lib work/deep
git init -q work
cat > work/docker-bake.hcl <<'D'
variable "BASE" {}
variable "WHAT" { default = "nothing" }
target "_base" {
  contexts = { base = "oci-layout://${BASE}", lib = "lib" }
  output   = ["type=local,dest=out"]
}
target "default" {
  inherits = ["_base"]
}
target "sub" {
  inherits   = ["_base"]
  context    = "sub"
  dockerfile = "own.Dockerfile"
}
target "inline" {
  inherits          = ["_base"]
  dockerfile-inline = <<-EOT
    FROM scratch
    COPY sub/only /only
  EOT
}
target "ours" {
  inherits   = ["_base"]
  context    = "sub"
  dockerfile = "cwd://ours.Dockerfile"
}
target "here" {
  inherits          = ["_base"]
  context           = BAKE_CMD_CONTEXT
  dockerfile-inline = <<-EOT
    FROM scratch
    COPY mine /mine
  EOT
}
target "greedy" {
  inherits = ["_base"]
  secret   = ["id=x,src=/etc/passwd"]
}
target "outside" {
  inherits = ["_base"]
  output   = ["type=local,dest=../elsewhere"]
}
D
printf 'FROM base\nCOPY top /top\nCOPY --from=lib part /part\nFROM scratch\nCOPY --from=0 /top /part /\n' > work/Dockerfile
printf 'FROM scratch\nCOPY only /only\n' > work/sub/own.Dockerfile
echo top > work/top && echo part > work/lib/part && echo only > work/sub/only
printf 'target "default" {\n  dockerfile-inline = "FROM scratch\\nCOPY docker-bake.hcl /d\\n"\n  output = ["out"]\n}\n' > work/deep/docker-bake.hcl
git -C work add .
git -C work -c user.name=a -c user.email=a@b commit -qm one
git -C work tag v1
git -C work tag -d v0 > /dev/null 2>&1 || true
echo 'target "other" {}' >> work/docker-bake.hcl
echo later > work/top
git -C work -c user.name=a -c user.email=a@b commit -qam two
git clone -q --bare work served/repository.git
git -C served/repository.git update-server-info
tar -C work --exclude=.git -czf served/all.tar.gz .
printf 'target "default" {\n  context = "dir"\n  dockerfile-inline = "FROM scratch\\nCOPY mine /mine\\n"\n  output = ["out"]\n}\n' > served/alone.hcl
cat > serve.py <<'P'
import base64, functools, http.server, sys
WANTED = "basic " + base64.b64encode(b"x-access-token:s3cret").decode()
class Guarded(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/guarded/"):
            if self.headers.get("Authorization") != WANTED:
                return self.send_error(404)
            self.path = self.path.replace("/guarded/", "/", 1)
        super().do_GET()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), functools.partial(Guarded, directory="served")).serve_forever()
P
port=$("$CASES/../ports" 1)
python3 serve.py "$port" & server=$!
trap 'kill "$server"' EXIT
tries=0
until "$CASES/../listening" "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ]
  sleep 0.1
done
url=http://127.0.0.1:$port/repository.git
mkdir here && cd here
bake() {
  rm -rf out
  "$WYTHE" bake --allow "fs.read=$BASE" "$@" > /dev/null 2> ../log || { cat ../log; return 1; }
}

bake "$url#v1"
[ "$(cat out/top out/part)" = "$(printf 'top\npart')" ]
bake "$url"
[ "$(cat out/top)" = later ]
bake "$url#v1" sub
[ "$(cat out/only)" = only ]
bake "$url" inline
[ "$(cat out/only)" = only ]
bake "$url#v1:deep"
grep -q 'COPY docker-bake.hcl' out/d
printf 'FROM scratch\nCOPY only /ours\n' > ours.Dockerfile
bake "$url" ours
[ "$(cat out/ours)" = only ]
echo mine > mine
bake "$url" here
[ "$(cat out/mine)" = mine ]
# A repository as the context that the command line gives, files of both, and what is not there.
printf 'target "here" {\n  dockerfile-inline = "FROM scratch\\nCOPY top /mine\\n"\n}\n' > over.hcl
bake --file docker-bake.hcl --file cwd://over.hcl "$url" "$url#v1" here
[ "$(cat out/mine)" = top ]
printf 'target "here" {\n  dockerfile-inline = "FROM scratch\\nCOPY mine /stdin\\n"\n}\n' |
  bake --file docker-bake.hcl --file cwd://- "$url" here
[ "$(cat out/stdin)" = mine ]
fails "$WYTHE" bake --file nope.hcl "$url" 2> ../log
grep -q 'nope.hcl' ../log
[ "$("$WYTHE" bake --print "$url#v1" default | grep '"context"')" = "      \"context\": \"$url#v1\"," ]
[ "$("$WYTHE" bake --print "$url#v1" sub | grep '"context"')" = '      "context": "sub",' ]
"$WYTHE" bake --list targets "$url" | grep -q '^other'
"$WYTHE" bake --allow "fs.read=$BASE" --check "$url" sub > ../log

# An archive, and a file alone, whose contexts are here.
archive=http://127.0.0.1:$port/all.tar.gz
bake "$archive" sub --set '*.contexts.lib=cwd://.'
[ "$(cat out/only)" = only ]
fails "$WYTHE" bake --allow "fs.read=$BASE" "$archive" sub 2> ../log
grep -q 'name a git repository' ../log
mkdir dir && echo dir > dir/mine
bake "http://127.0.0.1:$port/alone.hcl"
[ "$(cat out/mine)" = dir ]

# What a definition of others wants of this machine: here it is the base, too.
fails "$WYTHE" bake "$url" inline 2> ../log
grep -q -- "--allow fs.read=$BASE" ../log
fails "$WYTHE" bake --allow "fs.read=$BASE" "$url" greedy 2> ../log
grep -q -- '--allow fs.read=/etc/passwd' ../log
bake --allow fs.read=/etc "$url" greedy
fails "$WYTHE" bake --allow "fs.read=$BASE" "$url" outside 2> ../log
grep -q -- '--allow fs.write=../elsewhere' ../log
[ ! -e ../elsewhere ]
BAKE_ALLOW_REMOTE_FS_ACCESS=1 bake "$url" outside
[ -e ../elsewhere/top ]

# A token is shown to the server that it is for, for the definition and for contexts.
guarded=http://127.0.0.1:$port/guarded/repository.git
fails "$WYTHE" bake "$guarded#v1" 2> /dev/null
BUILDX_BAKE_GIT_AUTH_TOKEN=s3cret bake "$guarded#v1"
[ "$(cat out/top)" = top ]
env "BUILDX_BAKE_GIT_AUTH_TOKEN.127.0.0.1=s3cret" "$WYTHE" bake --allow "fs.read=$BASE" "$guarded#v1" sub 2> /dev/null
printf 'target "default" {\n  context = "%s#v1"\n  dockerfile-inline = "FROM scratch\\nCOPY top /\\n"\n  output = ["out"]\n}\n' "$guarded" > docker-bake.hcl
fails "$WYTHE" bake 2> /dev/null
BUILDX_BAKE_GIT_AUTH_TOKEN=s3cret bake
[ "$(cat out/top)" = top ]
