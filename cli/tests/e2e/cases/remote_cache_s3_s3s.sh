# The cache in a bucket of s3s-fs, which others wrote: it keeps objects as files, heeds conditions, and holds each request to
# its signature. Between a condition and the write it lets others write, so that jobs come one after the other here.
command -v s3s-fs > /dev/null || skip "s3s-fs is not installed (cargo install s3s-fs --features binary)"
python3 -m venv venv
venv/bin/pip install -q boto3==1.44.8
port=$("$CASES/../ports" 1)
mkdir buckets
RUST_LOG=error s3s-fs --host 127.0.0.1 --port "$port" --access-key AKIDEXAMPLE --secret-key key-hush buckets > s3s.log 2>&1 &
pid=$!
trap 'kill $pid' EXIT
tries=0
until "$CASES/../listening" "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.1
done
url=http://127.0.0.1:$port
. "$CASES/../bucket_cache.sh"
job 1
job 2
found 1
found 2
# Who signs with another key is refused, which fails no build.
AWS_SECRET_ACCESS_KEY=other-hush build stranger --cache-from "$cache" --cache-to "$cache"
[ "$(ran stranger)" = 3 ]
grep -q 'goes on without it' stranger.log || { cat stranger.log; false; }
