"""A registry and its token service on two ports, as GitLab has them: token_registry.py PORTS [CERTIFICATE KEY].

Writes both ports into the file PORTS. Anybody gets a token; one of ada, whose password is `secret`, opens the
registry, where she may see that there is nothing, and may not push.
"""
import base64
import http.server
import json
import ssl
import sys
import threading

import listening_at

ADA = "Basic " + base64.b64encode(b"ada:secret").decode()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, **headers):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, *_):
        pass


class Tokens(Answers):
    def do_GET(self):
        shown = self.headers.get("Authorization")
        if shown not in (None, ADA):
            return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "HTTP Basic: Access denied"}]})
        self.answer(200, {"token": "ada" if shown else "nobody"})


class Registry(Answers):
    def do_GET(self):
        token = self.headers.get("Authorization", "")
        if token not in ("Bearer ada", "Bearer nobody") or (token == "Bearer nobody" and self.path != "/v2/"):
            realm = f'Bearer realm="{scheme}://localhost:{tokens.server_port}/jwt/auth",service="r"'
            return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]}, WWW_Authenticate=realm)
        if self.command in ("POST", "PUT"):
            return self.answer(403, {"errors": [{"code": "DENIED", "message": "ada only reads"}]})
        self.answer(200 if self.path == "/v2/" else 404, {})

    do_HEAD = do_POST = do_PUT = do_GET


def serve(kind):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[2:4])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
    return server


scheme = "https" if len(sys.argv) > 2 else "http"
tokens = serve(Tokens)
registry = serve(Registry)
listening_at.tell(sys.argv[1], registry, tokens)
