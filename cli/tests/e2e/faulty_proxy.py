"""A proxy before a server over HTTP that has a bad day: faulty_proxy.py PORT_FILE TO_PORT MODE_FILE.

MODE_FILE is read for each request, and says what is done with it:
  sound      it is passed on
  slow       nothing is ever answered
  full       what is written is refused with 507
  413        what is written is too long
  403, 429   everything is refused so
  lying      a byte of every blob that is read is another
  truncated  of every blob that is read half comes, and then the connection ends
  reset      of every blob that is read half comes, and then the connection is reset
  expired    who reads a blob is sent to a place whose time is over
"""
import http.client
import http.server
import re
import socket
import struct
import sys
import time

import http_body
import listening_at

port_file, to_port, mode_file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# What blobs are called at registries, in buckets, on web servers and in the storage of GitHub's service.
BLOB = re.compile(r"/blobs/sha256|/cas/|/storage/")


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def refuse(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def any(self):
        mode, body = open(mode_file).read().strip(), http_body.read(self)
        reads_blob = self.command == "GET" and BLOB.search(self.path)
        if mode == "slow":
            time.sleep(600)
        elif mode in ("403", "429"):
            self.refuse(int(mode), Retry_After="1")
        elif mode in ("full", "413") and self.command in ("POST", "PUT", "PATCH"):
            self.refuse(507 if mode == "full" else 413)
        elif mode == "expired" and self.path.startswith("/expired"):
            self.refuse(403)
        elif mode == "expired" and reads_blob:
            self.refuse(307, Location="/expired" + self.path)
        else:
            self.hand_on(body, mode if reads_blob else "sound")

    def hand_on(self, body, mode):
        server = http.client.HTTPConnection("127.0.0.1", to_port)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        server.request(self.command, self.path, body or None, {**headers, "Content-Length": str(len(body))})
        answer = server.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if data and mode == "lying":
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        if mode in ("truncated", "reset"):
            data, self.close_connection = data[:len(data) // 2], True
        self.wfile.write(data)
        if mode == "reset":
            self.wfile.flush()
            # What was sent by then may be lost as well: that is what a reset is.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_MKCOL = do_PROPFIND = any


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
server.daemon_threads = True
listening_at.tell(port_file, server)
server.serve_forever()
