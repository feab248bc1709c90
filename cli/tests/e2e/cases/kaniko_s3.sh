# kaniko's context in a bucket, against moto, which others wrote.
python3 -m venv venv
venv/bin/pip install -q 'moto[s3]==5.2.5' flask flask-cors
venv/bin/moto_server -H 127.0.0.1 -p 0 > moto.log 2>&1 &
pid=$!
trap 'kill $pid' EXIT
until grep -q 'Running on' moto.log; do sleep 0.1; done
S3_ENDPOINT=$(sed -n 's/.*Running on \(http:[^ ]*\).*/\1/p' moto.log)
export S3_ENDPOINT S3_FORCE_PATH_STYLE=true
export AWS_EC2_METADATA_DISABLED=true AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=key-hush
unset AWS_PROFILE AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
mkdir -p tree/app
printf 'FROM scratch\nCOPY word /\n' > tree/app/Dockerfile
echo word > tree/app/word
tar -C tree -czf context.tar.gz .
venv/bin/python - "$S3_ENDPOINT" << 'X'
import sys, boto3
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
s3.create_bucket(Bucket="sources", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.upload_file("context.tar.gz", "sources", "of/app.tar.gz")
X
"$WYTHE" --store store kaniko --context s3://sources/of/app.tar.gz --context-sub-path app --no-push --tar-path image.tar
tar -xOf image.tar manifest.json | grep -q Layers
fails "$WYTHE" --store store kaniko --context s3://sources/of/none.tar.gz --no-push 2> log
grep -q 'there is no s3://sources/of/none.tar.gz' log
if grep -q hush log; then exit 1; fi
