# For cases with a bucket on a server that others wrote, whose address is in `url`, and boto3 in venv/: cold and warm, a
# branch, a blob that was replaced, blobs that are gone, and a bucket that is not there.
export AWS_EC2_METADATA_DISABLED=true AWS_ENDPOINT_URL_S3="$url" AWS_REGION=eu-west-1
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=key-hush AWS_BUCKET=bucket
unset AWS_PROFILE AWS_ENDPOINT_URL
# bucket STATEMENT: what is done with the bucket by the SDK that Amazon has for Python.
bucket() {
  venv/bin/python - "$url" "$1" << 'X'
import sys, boto3
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
keys = lambda: [one["Key"] for one in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]
exec(sys.argv[2])
X
}
bucket 's3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})'
mkdir context
printf 'FROM base\nRUN date +%%N > /chance\nRUN cat /chance > /copied\n' > context/Dockerfile
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" "${context:-context}" 2> "$store.log" || { cat "$store.log"; return 1; }
  if grep -q hush "$store.log"; then exit 1; fi
}
ran() { grep -c '^#[0-9]* DONE ' "$1.log" || true; }
cache=type=s3,use_path_style=true,prefix=team/
build cold --cache-to "$cache,mode=max,ignore-error=false"
[ "$(ran cold)" = 2 ]
bucket 'assert "team/wythe/main" in keys() and sum(key.startswith("team/blobs/sha256:") for key in keys()) == 1, keys()'
build warm --cache-from "$cache" --cache-to "$cache,mode=max,ignore-error=false"
[ "$(ran warm)" = 0 ]
cmp cold.tar warm.tar
# job NUMBER: a build of its own that writes, and found NUMBER: one with an empty store that finds what that wrote.
job() {
  mkdir "context$1"
  printf 'FROM base\nRUN echo %s > /job\n' "$1" > "context$1/Dockerfile"
  context=context$1 build "job$1" --cache-to "$cache,ignore-error=false"
}
found() {
  context=context$1 build "after$1" --cache-from "$cache"
  [ "$(ran "after$1")" = 0 ]
}
# A branch reads what main wrote, and writes its own name.
printf 'RUN echo branch > /branch\n' >> context/Dockerfile
build branch --cache-from "$cache,scope=feature/x" --cache-to "$cache,scope=feature/x,ignore-error=false"
[ "$(ran branch)" = 1 ]
build again --cache-from "$cache,scope=feature/x"
[ "$(ran again)" = 0 ]
# A blob that is another, and one that is gone.
bucket 'blob = [key for key in keys() if "blobs/" in key]
size = s3.head_object(Bucket="bucket", Key=blob[0])["ContentLength"]
[s3.put_object(Bucket="bucket", Key=key, Body=b"x" * size) for key in blob]'
build poisoned --cache-from "$cache,scope=feature/x"
grep -q 'does not hold what it announced' poisoned.log
[ "$(ran poisoned)" = 3 ]
"$WYTHE" --store poisoned verify
bucket '[s3.delete_object(Bucket="bucket", Key=key) for key in keys() if "blobs/" in key]'
build gone --cache-from "$cache"
[ "$(ran gone)" = 3 ]
# A bucket that is not there is a remark.
AWS_BUCKET=none build none --cache-from "$cache" --cache-to "$cache"
[ "$(ran none)" = 3 ]
