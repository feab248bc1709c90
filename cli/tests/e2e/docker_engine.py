"""docker_engine.py SOCKET LOG [far]: answers as docker's engine does, keeps images, and writes to LOG what it does.

It pulls what it lacks from where it is told to; one that is far away cannot, and has to be sent archives.
"""
import hashlib, http.server, io, json, re, socketserver, sys, tarfile, urllib.request
from urllib.parse import parse_qs, unquote, urlsplit

path, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
far = sys.argv[3:] == ["far"]
blobs, names = {}, {}


def pulled(repository, tag):
    host, _, name = repository.partition("/")
    base = f"http://{host}/v2/{name}"
    body = urllib.request.urlopen(f"{base}/manifests/{tag}").read()
    manifest = json.loads(body)
    for part in [manifest["config"], *manifest["layers"]]:
        if part["digest"] not in blobs:
            blob = urllib.request.urlopen(f"{base}/blobs/{part['digest']}").read()
            assert "sha256:" + hashlib.sha256(blob).hexdigest() == part["digest"]
            blobs[part["digest"]] = blob
            print("pulled", part["digest"], file=log)
    return manifest["config"]["digest"]


class Engine(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b"{}"):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass

    def do_GET(self):
        id = re.fullmatch("/images/(.*)/json", unquote(self.path))
        self.answer(200 if self.path == "/_ping" or id and id[1] in blobs else 404)

    def do_DELETE(self):
        name = unquote(urlsplit(self.path).path).removeprefix("/images/")
        self.answer(200 if names.pop(name, None) else 404)

    def do_POST(self):
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/images/create":
            try:
                if far:
                    raise OSError("connection refused")
                id = pulled(query["fromImage"], query["tag"])
                names[f"{query['fromImage']}:{query['tag']}"] = id
                self.answer(200, b'{"status":"Pulling"}\n{"status":"done"}\n')
            except OSError as error:
                self.answer(200, json.dumps({"error": str(error)}).encode())
        elif url.path == "/images/load":
            archive = tarfile.open(fileobj=io.BytesIO(self.chunks()))
            for entry in json.load(archive.extractfile("manifest.json")):
                id = "sha256:" + entry["Config"].rpartition("/")[2].removesuffix(".json")
                blobs[id] = b""
                for name in entry["RepoTags"]:
                    names[name] = id
                    print("loaded", name, file=log)
            self.answer(200)
        else:
            image = unquote(url.path).removeprefix("/images/").removesuffix("/tag")
            names[f"{query['repo']}:{query['tag']}"] = names.get(image, image)
            print("tagged", f"{query['repo']}:{query['tag']}", names.get(image, image), file=log)
            self.answer(201)

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


Server(path, Engine).serve_forever()
