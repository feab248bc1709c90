#!/usr/bin/env python3
"""ecr_of_others.py QUIRKS WYTHE DIR BASE: ECR as others wrote it: moto for tokens, repositories, roles and permissions, and
`wythe-quirks --ecr` for what is pushed and pulled.

moto holds signatures and policies against what it is asked, as AWS does. Keys come from each place that they may come from: variables,
a profile that assumes a role, a web identity, an endpoint of a container, the metadata of an instance. Each missing permission is named.
BASE is the layout of base.sh. Below DIR moto is installed from PyPI.
"""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import tunnel

ACCOUNT, REGION = "123456789012", "eu-west-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
STORAGE = f"prod-{REGION}-starport-layer-bucket.s3.{REGION}.amazonaws.com"
# What moto's ECR gives as its token.
USER = f"AWS:{ACCOUNT}-auth-token"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/push"
PUSHED = ["ecr:GetAuthorizationToken", "ecr:CreateRepository", "ecr:DescribeRepositories"]
# What of ECR a push takes, and a pull.
ACTIONS = {
    "push": ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"],
    "pull": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}
MOTO = ["moto==5.2.5", "boto3", "flask", "flask-cors"]
processes = []


def main():
    quirks, wythe, folder, base = (os.path.abspath(path) for path in sys.argv[1:5])
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    try:
        cloud = Cloud()
        machine = Machine(wythe, base, cloud, quirks)
        checks = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
        for check in checks:
            check(machine, cloud)
            print(f"ok    {check.__name__.removeprefix('check_').replace('_', ' ')}", flush=True)
        print(f"{len(checks)} passed, 0 failed")
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def check_a_profile_assumes_a_role_and_makes_a_repository(machine, cloud):
    machine.works("copy", "--create-repo=scan-on-push,immutable-tags", machine.base, f"docker://{HOST}/new/app:1", **machine.profile())
    [made] = cloud.admin('ecr.describe_repositories(repositoryNames=["new/app"])["repositories"]')
    assert made["imageTagMutability"] == "IMMUTABLE" and made["imageScanningConfiguration"]["scanOnPush"], made
    machine.works("copy", "--create-repo", machine.base, f"docker://{HOST}/new/app:1", **machine.profile())
    machine.works("pull", f"{HOST}/new/app:1", **machine.profile())


def check_keys_of_variables(machine, cloud):
    machine.works("pull", f"{HOST}/team/app:1", **machine.variables("ci"))


def check_keys_of_a_web_identity(machine, cloud):
    pathlib.Path("identity").write_text("a.web.identity")
    machine.works("pull", f"{HOST}/team/app:1", AWS_WEB_IDENTITY_TOKEN_FILE=os.path.abspath("identity"), AWS_ROLE_ARN=ROLE)


def check_keys_of_a_container(machine, cloud):
    url = serve(endpoint(cloud.assumed, "Authorization", "token of the container"))
    machine.works("pull", f"{HOST}/team/app:1", AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{url}/keys", AWS_CONTAINER_AUTHORIZATION_TOKEN="token of the container")


def check_keys_of_an_instance(machine, cloud):
    url = serve(endpoint(cloud.assumed, "X-aws-ec2-metadata-token", "token of the instance"))
    machine.works("pull", f"{HOST}/team/app:1", AWS_EC2_METADATA_SERVICE_ENDPOINT=url, AWS_EC2_METADATA_DISABLED="")


def check_a_wrong_signature_is_refused(machine, cloud):
    keys = machine.variables("ci") | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    machine.fails("pull", f"{HOST}/team/app:1", says="signature", **keys)


def check_who_may_get_no_token_is_told(machine, cloud):
    machine.fails("pull", f"{HOST}/team/app:1", says="ecr:GetAuthorizationToken", **machine.variables("poor"))


def check_who_may_not_assume_a_role_is_told(machine, cloud):
    machine.fails("pull", f"{HOST}/team/app:1", says="sts:AssumeRole", **machine.profile("poor"))


def check_who_may_make_no_repository_is_told(machine, cloud):
    machine.fails("copy", "--create-repo", machine.base, f"docker://{HOST}/new/other:1", says="ecr:CreateRepository", **machine.variables("reader"))


def check_a_repository_that_is_not_there_is_told(machine, cloud):
    machine.fails("copy", machine.base, f"docker://{HOST}/new/none:1", says="--create-repo", **machine.variables("ci"))


def check_each_missing_permission_of_pushes_and_pulls_is_named(machine, cloud):
    for kind, actions in ACTIONS.items():
        for action in actions:
            with machine.denying(action):
                words = ["copy", machine.base, f"docker://{HOST}/team/denied:1"] if kind == "push" else ["pull", f"{HOST}/team/app:1"]
                said = machine.fails(*words, says=f"{action} on arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/", **machine.variables("ci"))
                assert "an IAM policy has to allow" in said, said


def check_nothing_went_astray(machine, cloud):
    # The storage is asked with signed addresses alone; and moto was asked for these.
    assert machine.astray + machine.strays() == 0
    for target in ["GetAuthorizationToken", "CreateRepository", "AssumeRole", "AssumeRoleWithWebIdentity"]:
        assert target in cloud.asked, cloud.asked


class Cloud:
    """moto, and who is who there."""

    def __init__(self):
        if not os.path.exists("venv"):
            subprocess.run([sys.executable, "-m", "venv", "venv"], check=True)
            subprocess.run(["venv/bin/pip", "install", "-q", *MOTO], check=True)
        port = free_port()
        log = open("moto.log", "wb")
        start(["venv/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        await_port(port)
        self.moto, self.asked, self.made = ("127.0.0.1", port), set(), lambda name: None
        self.keys = self.admin(f"""people({json.dumps(PUSHED)})""")
        self.assumed = self.admin(f"""sts.assume_role(RoleArn={ROLE!r}, RoleSessionName="ci")["Credentials"]""")
        self.secrets = [keys["SecretAccessKey"] for keys in [*self.keys.values(), self.assumed]] + [self.assumed["SessionToken"]]
        # From here on who asks has to say who they are, and policies count.
        self.believes(0)
        self.url = serve(control(self))

    def believes(self, count):
        """So many requests are done whoever sends them, and those that follow are not."""
        url = f"http://{self.moto[0]}:{self.moto[1]}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(url, str(count).encode(), {"Content-Type": "text/plain"}))

    def admin(self, expression):
        """What an expression is of the SDK that AWS has for Python, whom moto lets do everything."""
        program = SDK + f"\nprint(json.dumps({expression}, default=str))\n"
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        if hasattr(self, "keys"):
            keys = {"AWS_ACCESS_KEY_ID": self.keys["admin"]["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": self.keys["admin"]["SecretAccessKey"]}
        url = f"http://{self.moto[0]}:{self.moto[1]}"
        ran = subprocess.run(["venv/bin/python", "-c", program, url, REGION], capture_output=True, text=True, env=os.environ | keys)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


SDK = '''
import json, sys, boto3
client = lambda name: boto3.client(name, endpoint_url=sys.argv[1], region_name=sys.argv[2])
iam, sts, ecr = client("iam"), client("sts"), client("ecr")
def policy(actions, resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]})
def people(pushed):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName="push", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="push", PolicyName="push", PolicyDocument=policy(pushed))
    may = {"admin": ["*"], "ci": pushed + ["sts:AssumeRole"], "reader": pushed[:1] + pushed[2:], "poor": ["s3:ListAllMyBuckets"]}
    found = {}
    for name, actions in may.items():
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(actions))
        found[name] = iam.create_access_key(UserName=name)["AccessKey"]
    return found
'''


class Machine:
    """Somebody who has the program and BASE, and a registry."""

    def __init__(self, wythe, base, cloud, quirks):
        self.wythe, self.base, self.cloud, self.quirks = wythe, f"oci:{base}", cloud, quirks
        self.number, self.astray = 0, 0
        self.start_registry()
        cloud.made = lambda name: self.ask("PUT", f"/-/repositories/{name}")
        self.proxy = serve(proxy(self))
        self.works("copy", self.base, f"docker://{HOST}/team/app:1", **self.variables("ci"))

    def start_registry(self, *switches):
        self.number += 1
        certificates = os.path.abspath(f"certificates/{self.number}")
        os.makedirs(certificates)
        words = ["--listen", "127.0.0.1:0", "--storage", "127.0.0.2:0", "--directory", ".", "--certificates", certificates, "--tls"]
        named = ["--ecr", "--user", USER, "--name", HOST, "--storage-name", STORAGE]
        self.server = start([self.quirks, "serve", *words, *named, *switches], stdout=subprocess.PIPE, text=True)
        line = self.server.stdout.readline().split()
        self.places, self.authority = {HOST: line[1], STORAGE: line[3]}, f"{certificates}/ca.crt"

    @contextlib.contextmanager
    def denying(self, action):
        """A registry in the place of the other, where nobody may do something."""
        before = self.server, self.places, self.authority
        self.start_registry("--deny", action)
        try:
            if action in ACTIONS["pull"]:
                self.works("copy", self.base, f"docker://{HOST}/team/app:1", **self.variables("ci"))
            yield
            self.astray += self.strays()
        finally:
            self.server.terminate()
            self.server, self.places, self.authority = before

    def ask(self, method, path):
        host, port = self.places[HOST].split(":")
        context = ssl.create_default_context(cafile=self.authority)
        connection = http.client.HTTPSConnection(host, int(port), context=context)
        connection.request(method, path)
        return connection.getresponse().read()

    def strays(self):
        return json.loads(self.ask("GET", "/-/counts"))["strays"]

    def variables(self, name):
        keys = self.cloud.keys[name]
        return {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}

    def profile(self, name="ci"):
        keys = self.cloud.keys[name]
        lines = ["[profile role]", f"role_arn = {ROLE}", "source_profile = own", "[profile own]"]
        lines += [f"aws_access_key_id = {keys['AccessKeyId']}", f"aws_secret_access_key = {keys['SecretAccessKey']}"]
        pathlib.Path("config").write_text("\n".join(lines) + "\n")
        return {"AWS_PROFILE": "role", "AWS_CONFIG_FILE": os.path.abspath("config")}

    def run(self, *words, **variables):
        """Each command is that of a machine with nothing: no token is kept from the one before."""
        self.number += 1
        home = os.path.abspath(f"home/{self.number}")
        os.makedirs(home)
        own = {"HOME": home, "TMPDIR": home, "PATH": os.environ["PATH"], "WYTHE_MIN_FREE_SPACE": "0", "AWS_EC2_METADATA_DISABLED": "true",
               "HTTPS_PROXY": self.proxy, "SSL_CERT_FILE": self.authority, "AWS_ENDPOINT_URL": self.cloud.url}
        ran = subprocess.run([self.wythe, "--store", f"{home}/store", "--progress=plain", *words], env=own | variables,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        shown = [secret for secret in self.cloud.secrets if secret in ran.stdout]
        assert not shown, f"{words} shows a secret:\n{ran.stdout}"
        return ran.returncode, ran.stdout

    def works(self, *words, **variables):
        status, said = self.run(*words, **variables)
        assert status == 0, f"{words} ends with {status}:\n{said}"

    def fails(self, *words, says, **variables):
        status, said = self.run(*words, **variables)
        assert status in (3, 4) and says in said, f"{words} ends with {status}, and should say {says}:\n{said}"
        return said


def control(cloud):
    """What stands in front of moto: it makes the repositories that moto has made where images are pushed to, and notes what was asked."""

    class Control(Quiet):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if "Authorization" not in self.headers and b"Action=AssumeRoleWithWebIdentity" in body:
                # It is not signed; moto wants it to be.
                cloud.believes(1)
            connection = http.client.HTTPConnection(*cloud.moto)
            connection.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            target = target or next((pair.partition(b"=")[2].decode() for pair in body.split(b"&") if pair.startswith(b"Action=")), "")
            if answer.status == 200:
                cloud.asked.add(target)
                if target == "CreateRepository":
                    cloud.made(json.loads(body)["repositoryName"])
            self.answer(answer.status, answer.read(), answer.getheader("Content-Type"))

    return Control


def endpoint(keys, header, token):
    """What a container or an instance gets its keys from: who shows no token gets none."""
    document = {"AccessKeyId": keys["AccessKeyId"], "SecretAccessKey": keys["SecretAccessKey"], "Token": keys["SessionToken"],
                "Code": "Success", "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))}

    class Endpoint(Quiet):
        def do_PUT(self):
            self.answer(200, token.encode(), "text/plain")

        def do_GET(self):
            if self.headers.get(header) != token:
                self.answer(401, b"", "text/plain")
            elif self.path.endswith("/security-credentials/"):
                self.answer(200, b"push", "text/plain")
            else:
                self.answer(200, json.dumps(document).encode(), "application/json")

    return Endpoint


def proxy(machine):
    """Leads to the registry and its storage, whatever they are called, and nowhere else."""

    class Proxy(Quiet):
        def do_CONNECT(self):
            host, port = machine.places[self.path.removesuffix(":443")].split(":")
            tunnel.answer(self, (host, int(port)))

    return Proxy


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def start(words, **how):
    process = subprocess.Popen(words, **how)
    processes.append(process)
    return process


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def await_port(port):
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("moto does not answer: " + pathlib.Path("moto.log").read_text())


main()
