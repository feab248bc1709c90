# For cases that push to a double of ECR in front of the registry: starts it, and says where it is as AWS's variables do. Its
# ports are in the file `ports`, what it was asked in `ports.log`.
host=123456789012.dkr.ecr.eu-west-1.amazonaws.com
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj "/CN=$host" \
  -addext "subjectAltName=DNS:$host" 2> /dev/null
python3 "$CASES/../ecr_service.py" ports cert.pem key.pem "$REGISTRY" &
pid=$!
trap 'kill $pid' EXIT
while [ ! -e ports ]; do sleep 0.1; done
export HOME="$PWD/home" XDG_CACHE_HOME="$PWD/cache" SSL_CERT_FILE="$PWD/cert.pem" AWS_EC2_METADATA_DISABLED=true
export HTTPS_PROXY="http://127.0.0.1:$(cut -d' ' -f1 ports)" AWS_ENDPOINT_URL="http://127.0.0.1:$(cut -d' ' -f3 ports)"
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=key-hush
unset DOCKER_CONFIG XDG_CONFIG_HOME XDG_RUNTIME_DIR AWS_PROFILE NO_PROXY no_proxy
mkdir home
