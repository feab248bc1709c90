"""The cache service of GitHub Actions, for tests: gha_service.py PORT_FILE [--azurite URL] [KNOB=VALUE…].

Both interfaces are spoken: that of github.com (`twirp/…/CacheService/…`, uploads as Azure block blobs) and that of
Enterprise Server (`_apis/artifactcache/…`). It is for our client and for npm's @actions/cache alike. Signed addresses
lead to this program, or with --azurite those of the newer interface to a server of Azure's protocol, with the account
of its documentation.

Scopes are in the token, as the service has them: the claim `ac` lists branches with their permissions; the first that
may be written takes what is written, and all that may be read are searched in their order.

GET /log gives a line for each request so far; POST /knobs takes KNOB=VALUE lines:
  limit=N     the next N new entries are refused with 429
  uses=N      a signed address is good for N uses; 0 for ever
  corrupt=1   what is read from the storage has a byte changed
"""
import argparse
import base64
import datetime
import hashlib
import hmac
import http.server
import json
import threading
import urllib.error
import urllib.parse
import urllib.request

import http_body

ACCOUNT = "devstoreaccount1"
# Of azurite's documentation, the same for everybody.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "cache"

lock = threading.Lock()
entries, uploads, signatures, log = [], {}, {}, []
knobs = {"limit": 0, "uses": 0, "corrupt": 0}


class Entry:
    def __init__(self, scope, key, version):
        self.scope, self.key, self.version = scope, key, version
        self.blocks, self.data, self.done = {}, b"", False
        # From 1: to npm's client, 0 is none.
        self.number = len(entries) + 1


def scopes(token):
    """The scopes of a token and their permissions: 1 reads, 2 writes."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return [(one["Scope"], one["Permission"]) for one in json.loads(claims["ac"])]
    except (ValueError, KeyError):
        return [("refs/heads/main", 3)]


def find(token, keys, version):
    """Within each scope: the very key, else the newest that begins like one of them."""
    for scope, permission in scopes(token):
        mine = [one for one in entries if permission & 1 and one.done and one.scope == scope and one.version == version]
        for number, key in enumerate(keys):
            exact = [one for one in mine if one.key == key]
            begins = [one for one in mine if one.key.startswith(key)] if number > 0 or len(keys) == 1 else []
            if exact or begins:
                return (exact or begins)[-1]
    return None


class Refused(Exception):
    def __init__(self, status, code, message):
        self.status, self.body = status, {"code": code, "msg": message, "message": message}


def create(token, key, version):
    if knobs["limit"] > 0:
        knobs["limit"] -= 1
        raise Refused(429, "resource_exhausted", "too many uploads")
    scope = next((scope for scope, permission in scopes(token) if permission & 2), None)
    if scope is None:
        raise Refused(403, "permission_denied", "this token may not write")
    if any((one.scope, one.key, one.version) == (scope, key, version) for one in entries):
        raise Refused(409, "already_exists", "cache entry with the same key, version, and scope already exists")
    entry = Entry(scope, key, version)
    entries.append(entry)
    return entry


def sign(host, entry, service="v2"):
    if azurite and service == "v2":
        return azure_address(f"pack{entry.number}")
    number = len(signatures)
    signatures[str(number)] = 0
    return f"http://{host}/storage/{entry.number}?sig={number}"


def azure_address(blob, resource="b", permissions="racw", **more):
    """A service SAS, by the rules of its version."""
    expiry = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    version = "2020-12-06"
    name = f"/blob/{ACCOUNT}/{CONTAINER}" + (f"/{blob}" if resource == "b" else "")
    fields = [permissions, "", expiry, name, "", "", "", version, resource, "", "", "", "", "", "", ""]
    key = base64.b64decode(ACCOUNT_KEY)
    signature = base64.b64encode(hmac.new(key, "\n".join(fields).encode(), hashlib.sha256).digest()).decode()
    query = {"sv": version, "sr": resource, "sp": permissions, "se": expiry, "sig": signature, **more}
    return f"{azurite}/{ACCOUNT}/{CONTAINER}" + (f"/{blob}" if resource == "b" else "") + "?" + urllib.parse.urlencode(query)


def make_container():
    """With the account's key: a SAS of a container may not make it."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": "2020-12-06"}
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    text = "PUT\n" + "\n" * 11 + lines + f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
    # A plain opener adds a Content-Type, which would be signed, too, so none is sent with no body.
    request = urllib.request.Request(f"{azurite}/{ACCOUNT}/{CONTAINER}?restype=container", method="PUT", headers=headers)
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        if error.code != 409:  # It is there.
            raise


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        if isinstance(body, (dict, list)):
            body, headers["Content_Type"] = json.dumps(body).encode(), "application/json"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        body = http_body.read(self)
        path, _, query = self.path.lstrip("/").partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        with lock:
            if path == "log":
                return self.answer(200, "".join(line + "\n" for line in log).encode())
            if path == "knobs":
                knobs.update((name, int(value)) for name, value in (line.split("=") for line in body.decode().split()))
                return self.answer(204)
            log.append(f"{self.command} /{path} {self.headers.get('Range', '')} {len(body)}")
            try:
                if path.startswith("storage/"):
                    return self.storage(path.split("/")[1], query, body)
                token = self.headers.get("Authorization", "")
                if not token.startswith("Bearer "):
                    raise Refused(401, "unauthenticated", "no token")
                self.entries(token[7:], path, query, json.loads(body) if body and self.command == "POST" else {}, body)
            except Refused as refused:
                self.answer(refused.status, refused.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_any

    def entries(self, token, path, query, told, body):
        host, last = self.headers["Host"], path.rsplit("/", 1)[-1]
        key, version = told.get("key", ""), told.get("version", "")
        if last == "GetCacheEntryDownloadURL":
            found = find(token, [key, *(told.get("restore_keys") or [])], version)
            if not found:
                return self.answer(200, {"ok": False, "signed_download_url": "", "matched_key": ""})
            self.answer(200, {"ok": True, "signed_download_url": sign(host, found), "matched_key": found.key})
        elif last == "CreateCacheEntry":
            self.answer(200, {"ok": True, "signed_upload_url": sign(host, create(token, key, version))})
        elif last == "FinalizeCacheEntryUpload":
            entry = next(one for one in entries if (one.key, one.version) == (key, version) and not one.done)
            size = int(told["size_bytes"])
            if not azurite and len(entry.data) != size:
                raise Refused(400, "invalid_argument", f"{len(entry.data)} bytes were sent, and not {size}")
            entry.done = True
            self.answer(200, {"ok": True, "entry_id": str(entry.number)})
        elif last == "cache":
            # npm's client escapes the comma twice.
            found = find(token, urllib.parse.unquote(query["keys"]).split(","), query["version"])
            if not found:
                return self.answer(204)
            self.answer(200, {"cacheKey": found.key, "scope": found.scope, "archiveLocation": sign(host, found, "v1")})
        elif last == "caches":
            self.answer(201, {"cacheId": create(token, key, version).number})
        elif last.isdigit() and self.command == "PATCH":
            start = int(self.headers["Content-Range"].split()[1].split("-")[0])
            entry = entries[int(last) - 1]
            entry.data = entry.data.ljust(start, b"\0")[:start] + body + entry.data[start + len(body):]
            self.answer(204)
        elif last.isdigit() and self.command == "POST":
            entry = entries[int(last) - 1]
            if len(entry.data) != told["size"]:
                raise Refused(400, "invalid_argument", "another size")
            entry.done = True
            self.answer(204)
        else:
            raise Refused(404, "bad_route", self.path)

    def storage(self, number, query, body):
        signatures[query["sig"]] += 1
        if knobs["uses"] and signatures[query["sig"]] > knobs["uses"]:
            raise Refused(403, "AuthenticationFailed", "the signature has expired")
        entry = entries[int(number) - 1]
        told = {"ETag": '"1"', "x_ms_request_id": "1", "x_ms_version": "2020-12-06", "x_ms_blob_type": "BlockBlob"}
        if self.command == "PUT":
            if query.get("comp") == "block":
                entry.blocks[query["blockid"]] = body
            elif query.get("comp") == "blocklist":
                names = [part.split("<")[0] for part in body.decode().split("<Latest>")[1:]]
                if any(name not in entry.blocks for name in names):
                    raise Refused(400, "InvalidBlockList", "a block was never sent")
                entry.data = b"".join(entry.blocks[name] for name in names)
            else:
                entry.data = body
            return self.answer(201, b"", **told)
        data, asked = entry.data, self.headers.get("Range") or self.headers.get("x-ms-range")
        status = 200
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            start, end = int(start), min(int(end or len(data)), len(data) - 1)
            if start >= len(data):
                raise Refused(416, "InvalidRange", asked)
            told["Content_Range"], status = f"bytes {start}-{end}/{len(data)}", 206
            data = data[start:end + 1]
        if knobs["corrupt"] and data:
            data = data[:-1] + bytes([data[-1] ^ 1])
        self.answer(status, data, Accept_Ranges="bytes", **told)


arguments = argparse.ArgumentParser()
arguments.add_argument("port_file")
arguments.add_argument("--azurite")
arguments.add_argument("knobs", nargs="*")
arguments = arguments.parse_args()
azurite = arguments.azurite
knobs.update((name, int(value)) for name, value in (knob.split("=") for knob in arguments.knobs))
if azurite:
    make_container()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
with open(arguments.port_file, "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
