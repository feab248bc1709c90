# A bucket as a cache: an empty store runs no step, with one request for all that is known; a cached build writes
# nothing; a bucket that refuses fails no build and shows no secret.
python3 "$CASES/../s3_service.py" port &
pid=$!
trap 'kill $pid' EXIT
while [ ! -e port ]; do sleep 0.1; done
export AWS_EC2_METADATA_DISABLED=true AWS_ENDPOINT_URL_S3="http://127.0.0.1:$(cat port)" AWS_REGION=eu-west-1
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=key-hush AWS_BUCKET=bucket
unset AWS_PROFILE AWS_ENDPOINT_URL
mkdir context
printf 'FROM base\nRUN date +%%N > /chance\nRUN cat /chance > /copied\n' > context/Dockerfile
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" context 2> log || { cat log; return 1; }
  if grep -q hush log; then exit 1; fi
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
cache=type=s3,use_path_style=true,prefix=team/
build cold --cache-to "$cache,mode=max"
[ "$(ran)" = 2 ]
grep -q 'PUT /bucket/team/blobs/sha256:' port.log
[ "$(grep -c 'PUT /bucket/team/wythe/main' port.log)" = 1 ]
: > port.log
build warm --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 0 ]
cmp cold.tar warm.tar
[ "$(grep -c PUT port.log)" = 0 ]
AWS_ACCESS_KEY_ID=OTHER build refused --cache-from "$cache" --cache-to "$cache"
[ "$(ran)" = 2 ]
env -u AWS_BUCKET "$WYTHE" build --cache-from type=s3 context 2> log && exit 1
grep -q 'AWS_BUCKET' log
