"""One bucket of S3 in memory: s3_service.py PORT_FILE. Knows If-Match and If-None-Match, ranges, and who signs.

Requests are noted in the file PORT_FILE.log, a method and a key in each line.
"""
import hashlib
import http.server
import sys
import threading

import listening_at

objects, lock = {}, threading.Lock()


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.path.replace("%3A", ":")
        with open(sys.argv[1] + ".log", "a") as log:
            log.write(f"{self.command} {key}\n")
        if "Credential=AKIDEXAMPLE/" not in self.headers.get("Authorization", ""):
            return self.refuse(403, "AccessDenied")
        with lock:
            there = objects.get(key)
            tag = there and f'"{hashlib.md5(there).hexdigest()}"'
            if self.command == "PUT":
                if self.headers.get("If-None-Match") and there or self.headers.get("If-Match", tag) != tag:
                    return self.refuse(412, "PreconditionFailed")
                if self.headers["x-amz-content-sha256"] not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
                    return self.refuse(400, "XAmzContentSHA256Mismatch")
                objects[key] = body
                return self.answer(200)
        if there is None:
            return self.refuse(404, "NoSuchKey")
        asked = self.headers.get("Range")
        if asked is None:
            return self.answer(200, there, ETag=tag)
        start, end = map(int, asked.removeprefix("bytes=").split("-"))
        end = min(end, len(there) - 1)
        self.answer(206, there[start:end + 1], ETag=tag, Content_Range=f"bytes {start}-{end}/{len(there)}")

    do_HEAD = do_PUT = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
listening_at.tell(sys.argv[1], server)
server.serve_forever()
