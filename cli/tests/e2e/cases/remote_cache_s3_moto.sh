# The cache in a bucket of moto, which others wrote.
# Of moto only what its S3 needs is installed: half of what moto[server] is.
python3 -m venv venv
venv/bin/pip install -q 'moto[s3]==5.2.5' flask flask-cors
venv/bin/moto_server -H 127.0.0.1 -p 0 > moto.log 2>&1 &
pid=$!
trap 'kill $pid' EXIT
until grep -q 'Running on' moto.log; do sleep 0.1; done
url=$(sed -n 's/.*Running on \(http:[^ ]*\).*/\1/p' moto.log)
. "$CASES/../bucket_cache.sh"
# Jobs that end at once lose nothing.
for number in 1 2 3 4; do
  job "$number" &
  jobs="${jobs:-} $!"
done
for pid_of_job in $jobs; do wait "$pid_of_job"; done
for number in 1 2 3 4; do found "$number"; done
