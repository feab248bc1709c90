# A repository as the context: what becomes of .git, and what is named of it.
command -v git > /dev/null || skip "git is not installed"
command -v python3 > /dev/null || skip "python3 is not installed"
mkdir -p served work/d
git init -q work
printf 'FROM base\nCOPY . /c\nARG HOLDS\nRUN eval "$HOLDS"\n' > work/Dockerfile
cp work/Dockerfile work/d
echo x > work/d/x
git -C work add .
git -C work -c user.name=a -c user.email=a@b commit -qm one
git -C work tag v1
git clone -q --bare work served/repository.git
git -C served/repository.git update-server-info
port=$("$CASES/../ports" 1)
(cd served && exec python3 -m http.server "$port" --bind 127.0.0.1 > /dev/null 2>&1) & server=$!
trap 'kill "$server"' EXIT
tries=0
until "$CASES/../listening" "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ]
  sleep 0.1
done

# holds CLAIM QUERY [FLAG…]
holds() {
  claim=$1 query=$2
  shift 2
  "$WYTHE" build --build-context base=oci-layout://"$BASE" --build-arg HOLDS="$claim" "$@" \
    "http://127.0.0.1:$port/repository.git$query"
}

holds '[ -f /c/d/x ] && [ ! -e /c/.git ]' ''
holds '[ -d /c/.git ]' '?keep-git-dir=1'
holds '[ -d /c/.git ]' '' --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1
holds '[ ! -e /c/.git ]' '' --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=0
holds '[ -f /c/x ] && [ ! -e /c/d ]' '?tag=v1&subdir=d'
# Records of a cache say what was fetched.
holds '[ -f /c/x ]' '?tag=v1&subdir=d' --cache-to type=local,dest=cache,mode=max
grep -q "\"ref\":\"v1\",\"revision\":\"$(git -C work rev-parse HEAD)\",\"source\":\"http://127.0.0.1:$port/repository.git\"" \
  cache/blobs/sha256/*

# The Dockerfile may be behind an address, too; what is no Dockerfile is refused.
printf 'FROM base\nCOPY x /c/x\nRUN [ -f /c/x ]\n' > served/other.Dockerfile
"$WYTHE" build --build-context base=oci-layout://"$BASE" -f "http://127.0.0.1:$port/other.Dockerfile" work/d
"$WYTHE" build --call=targets -f "http://127.0.0.1:$port/other.Dockerfile" work/d | grep -q base
if "$WYTHE" build -f "http://127.0.0.1:$port/repository.git" work/d 2> refused; then exit 1; fi
grep -q 'is no Dockerfile' refused
