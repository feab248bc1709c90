# For cases that write caches to doubles of S3 and of GitHub's service: what a job there has in its environment.
export AWS_EC2_METADATA_DISABLED=true AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=key AWS_BUCKET=bucket
unset AWS_PROFILE AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
ACTIONS_RUNTIME_TOKEN=$(python3 -c 'import base64, json
part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
print(part({}) + "." + part({"ac": json.dumps([{"Scope": "refs/heads/main", "Permission": 3}])}) + ".x")')
export ACTIONS_RUNTIME_TOKEN
