"""Servers that write down which credentials they are shown: credentials_log.py PORTS LOG IMAGE ADDRESS.

A registry that serves the layout IMAGE as app:1, and wants a token; the service that gives it listens on ADDRESS. Its
blobs are redirected to a storage service, which wants a password, as does a mirror. Writes the ports of the registry, the
token service, the storage and the mirror into PORTS, and a line with role and Authorization for each request into LOG.
"""
import http.server
import json
import os
import sys
import threading

import listening_at

ports_file, log_file, image, address = sys.argv[1:5]
with open(os.path.join(image, "index.json")) as file:
    root = json.load(file)["manifests"][0]


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    role = ""

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        with open(log_file, "a") as log:
            log.write(f"{self.role} {self.headers.get('Authorization', '-')}\n")
        getattr(self, self.role)()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass

    def token(self):
        self.answer(200, json.dumps({"token": "good", "expires_in": 300}).encode())

    def registry(self):
        if self.headers.get("Authorization") != "Bearer good":
            realm = f'Bearer realm="http://{address}:{ports["token"]}/token",service="r"'
            return self.answer(401, WWW_Authenticate=realm)
        if "/blobs/" in self.path:
            digest = self.path.rsplit("/", 1)[1]
            return self.answer(307, Location=f"http://127.0.0.1:{ports['storage']}/{digest}")
        name = self.path.rsplit("/", 1)[1]
        digest = name if ":" in name else root["digest"]
        body = blob(digest)
        kind = json.loads(body).get("mediaType", root["mediaType"])
        self.answer(200, body, Content_Type=kind, Docker_Content_Digest=digest)

    def storage(self):
        # It asks for a password, as some do who want to be shown one, and serves everybody.
        self.answer(200, blob(self.path[1:]), WWW_Authenticate='Basic realm="storage"')

    def mirror(self):
        self.answer(401, WWW_Authenticate='Basic realm="mirror"')


def blob(digest):
    with open(os.path.join(image, "blobs", *digest.split(":")), "rb") as file:
        return file.read()


ports, servers = {}, []
for role in ("registry", "token", "storage", "mirror"):
    kind = type(role, (Server,), {"role": role})
    server = http.server.ThreadingHTTPServer((address if role == "token" else "127.0.0.1", 0), kind)
    servers.append(server)
    ports[role] = server.server_port
    threading.Thread(target=server.serve_forever).start()
listening_at.tell(ports_file, *servers)
