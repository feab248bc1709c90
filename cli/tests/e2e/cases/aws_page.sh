# docs/aws.md from top to bottom: its commands of wythe run against a double of ECR, and what is said to AWS, in files and by
# commands, is what AWS describes its services to understand. Manifests are held against the schemas of Kubernetes.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
command -v openssl > /dev/null || skip "openssl is not installed"
page=$CASES/../docs/aws.md
[ -e "$page" ] || page=$CASES/../../../../docs/aws.md
export PYTHONDONTWRITEBYTECODE=1
python3 -m venv venv
venv/bin/pip install -q botocore==1.44.8 kubernetes-validate==1.37.0
. "$CASES/../ecr.sh"
export WYTHE_STORE="$PWD/store"
mkdir bin project
ln -s "$WYTHE" bin/wythe
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$PWD/venv/bin/python" "$CASES/../aws_command.py" > bin/aws
printf '#!/bin/sh\n[ "$1 $2" = "apply -f" ] && exec "%s" --strict "$3"\n' "$PWD/venv/bin/kubernetes-validate" > bin/kubectl
chmod +x bin/aws bin/kubectl
export PATH="$PWD/bin:$PATH"
# A layer that is long enough for an index of its content.
head -c 12000000 /dev/urandom > project/data
printf 'FROM scratch\nCOPY data /\n' > project/Dockerfile
cd project
../venv/bin/python "$CASES/../aws_page.py" "$page"

# What is named in passing, too.
sed -n 's/.*`\(aws [a-z0-9]* [a-z]*-[^`]*\)`.*/\1/p' "$page" > ../passing
[ -s ../passing ]
sh -eu ../passing

# What was registered last names the index, which has the one for the lazy start.
aws ecs register-task-definition --cli-input-json file://out.json
digest=$(sed -n 's/.*"image": ".*@\(sha256:[0-9a-f]*\)".*/\1/p' out.json)
wythe inspect --raw "docker://$host/team/app@$digest" | grep -q 'application/vnd.amazon.soci.index.v2+json'
aws --sent ../ports.log
grep -q '^CreateRepository' ../ports.log

# What is wrong is found.
check() { if "$@" > ../out 2>&1; then echo "taken: $*"; exit 1; fi; }
check aws ecs register-task-definition --family app --container-definitions '[{"nme": "app"}]'
check aws lambda create-function --function-name f --role r --code '{"ImageUri": "x"}'
check aws ecs run-task --task-definition app --launch-type MOON
check aws iam create-policy --policy-name p --policy-document '{"Statement": [{"Action": "ecr:PushImage"}]}'
