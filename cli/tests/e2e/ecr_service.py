"""ECR as clients meet it: ecr_service.py PORTS CERTIFICATE KEY REGISTRY [CONTROL].

Writes the ports of three servers into the file PORTS: a proxy that leads every CONNECT to the second; a registry over
TLS that wants ECR's token and has ECR's manners, and hands the rest on to the docker-registry at REGISTRY; and a
control plane for tokens and repositories. With CONTROL, the address of another one such as moto's, repositories are
looked up there. Requests to the control plane are noted in the file PORTS.log.

A repository whose name begins with `forbidden` may neither be made nor pushed to by anybody; a repository made with
immutable tags keeps them.
"""
import base64
import http.client
import http.server
import json
import re
import ssl
import sys
import threading
import time
import urllib.request

import listening_at
import tunnel

PORTS, CERTIFICATE, KEY, REGISTRY = sys.argv[1:5]
CONTROL = sys.argv[5] if len(sys.argv) > 5 else None
WHO = "arn:aws:iam::123456789012:user/ci"
repositories = {}


def denied(action, name):
    resource = f"arn:aws:ecr:eu-west-1:123456789012:repository/{name}"
    return (f"User: {WHO} is not authorized to perform: {action} on resource: {resource} because no identity-based "
            f"policy allows the {action} action")


def control(target, body):
    """What the other control plane answers."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonEC2ContainerRegistry_V20150921.{target}",
               "Authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature=0"}
    request = urllib.request.Request(CONTROL, json.dumps(body).encode(), headers)
    try:
        return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError:
        return None


def mutability(name):
    """Of a repository; None where there is none."""
    if CONTROL is None:
        return repositories.get(name)
    found = control("DescribeRepositories", {"repositoryNames": [name]})
    return found and found["repositories"][0]["imageTagMutability"]


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        length = dict((name.lower(), value) for name, value in headers).get("content-length")
        if length is None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *_):
        pass


class Registry(Server):
    def refuse(self, status, code, message, headers=()):
        self.answer(status, {"errors": [{"code": code, "message": message}]}, headers)

    def do_GET(self):
        body = self.body()
        basic = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(basic).decode().partition(":")
        if user != "AWS" or not password:
            return self.refuse(401, "UNAUTHORIZED", "Not Authorized", [("WWW-Authenticate", 'Basic realm="ecr",service="ecr.amazonaws.com"')])
        name = re.match(r"/v2/(.+?)/(?:blobs|manifests)/", self.path)
        writes = self.command in ("POST", "PUT", "PATCH")
        if name:
            name, kept = name[1], mutability(name[1])
            if name.startswith("forbidden") and writes:
                return self.refuse(403, "DENIED", denied("ecr:InitiateLayerUpload", name))
            if kept is None:
                return self.refuse(404, "NAME_UNKNOWN", f"The repository with name '{name}' does not exist in the registry with id '123456789012'")
            if kept == "IMMUTABLE" and self.command == "PUT" and "/manifests/" in self.path and "sha256:" not in self.path:
                if self.forward("HEAD", b"")[0] == 200:
                    return self.refuse(400, "TAG_INVALID", f"The image tag '{self.path.rsplit('/', 1)[1]}' already exists in the '{name}' repository and cannot be overwritten because the repository is immutable.")
        self.answer(*self.forward(self.command, body))

    def forward(self, method, body):
        connection = http.client.HTTPConnection(REGISTRY)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in ("authorization", "content-length", "transfer-encoding")}
        if method == "HEAD":
            headers["Accept"] = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
        connection.request(method, self.path, body or None, headers)
        answer = connection.getresponse()
        headers = [pair for pair in answer.getheaders() if pair[0].lower() not in ("connection", "date", "transfer-encoding")]
        # It names itself by http, which it is spoken to by; outside it is spoken to by https.
        headers = [(key, re.sub("^https?://[^/]*", "", value) if key.lower() == "location" else value) for key, value in headers]
        return answer.status, answer.read(), headers

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET


class Control(Server):
    def do_POST(self):
        body = json.loads(self.body())
        target = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
        with open(PORTS + ".log", "a") as log:
            log.write(f"{target} {json.dumps(body)} {self.headers.get('Authorization', '')}\n")
        name = body.get("repositoryName") or body.get("repositoryNames", [""])[0]
        refuse = lambda kind, message: self.answer(400, {"__type": kind, "message": message})
        if target == "GetAuthorizationToken":
            token = base64.b64encode(b"AWS:token-hush").decode()
            return self.answer(200, {"authorizationData": [{"authorizationToken": token, "expiresAt": time.time() + 43200}]})
        if name.startswith("forbidden"):
            return refuse("AccessDeniedException", denied(f"ecr:{target}", name))
        if target == "CreateRepository":
            if name in repositories:
                return refuse("RepositoryAlreadyExistsException", f"The repository with name '{name}' already exists")
            repositories[name] = body.get("imageTagMutability", "MUTABLE")
        self.answer(200, {"repository": {"repositoryName": name}})


class Proxy(Server):
    def do_CONNECT(self):
        tunnel.answer(self, ("127.0.0.1", registry.server_port))


def serve(kind, tls=False):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
    return server


registry = serve(Registry, tls=True)
servers = [serve(Proxy), registry, serve(Control)]
listening_at.tell(PORTS, *servers)
