# ECR needs no login: a token is got and kept, missing repositories are made where that is asked for, and what is
# refused is told with what to do. No secret is shown.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
command -v openssl > /dev/null || skip "openssl is not installed"
. "$CASES/../ecr.sh"

# fails CODE COMMAND…: what it said is in err.
fails() {
  code=$1 status=0
  shift
  "$@" > err 2>&1 || status=$?
  cat err
  if grep -q hush err; then exit 1; fi
  [ "$status" = "$code" ]
}

fails 3 "$WYTHE" copy "oci:$BASE" "docker://$host/bare/app:1"
grep -q "The repository with name 'bare/app' does not exist" err
grep -q 'help: --create-repo makes it.*--region eu-west-1 --repository-name bare/app' err
"$WYTHE" copy --create-repo=immutable-tags "oci:$BASE" "docker://$host/bare/app:1" 2> err
grep -q "note: made the repository $host/bare/app" err
"$WYTHE" pull "$host/bare/app:1"

# Two commands ago, a token was got; it is its owner's alone.
[ "$(grep -c GetAuthorizationToken ports.log)" = 1 ]
grep -q 'GetAuthorizationToken {"registryIds": \["123456789012"\]} AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/.*/eu-west-1/ecr/aws4_request' ports.log
[ "$(stat -c %a cache/wythe/ecr/*.json)" = 600 ]

# A tag that stays: the same image is well, another is told.
"$WYTHE" copy --create-repo "oci:$BASE" "docker://$host/bare/app:1"
printf 'FROM scratch\nCOPY Dockerfile /\n' > Dockerfile
fails 3 "$WYTHE" build -t "$host/bare/app:1" --push .
grep -q 'the tag 1 stands for another image, sha256:' err
"$WYTHE" build -t "$host/bare/app:2" -t "$host/bare/built:1" --push --create-repo .

fails 3 "$WYTHE" copy "oci:$BASE" "docker://$host/forbidden/app:1"
grep -q "has to allow arn:aws:iam::123456789012:user/ci ecr:InitiateLayerUpload on arn:aws:ecr:" err
fails 3 "$WYTHE" copy --create-repo "oci:$BASE" "docker://$host/forbidden/app:1"
grep -q "has to allow arn:aws:iam::123456789012:user/ci ecr:CreateRepository on arn:aws:ecr:" err
fails 2 "$WYTHE" build -t r.example/app --push --create-repo .
grep -q 'r.example is not ECR' err
fails 4 env -u AWS_ACCESS_KEY_ID "$WYTHE" pull "$host/bare/app:1"
grep -q 'AWS_ACCESS_KEY_ID and AWS_PROFILE are not set' err

# What docker knows comes first.
mkdir home/.docker
printf '{"auths": {"%s": {"auth": "%s"}}}' "$host" "$(printf 'AWS:' | base64)" > home/.docker/config.json
fails 3 "$WYTHE" pull "$host/bare/app:1"
