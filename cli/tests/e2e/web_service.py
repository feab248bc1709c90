"""A web server that keeps what is put, and heeds no conditions: web_service.py PORT_FILE."""
import http.server
import sys

import http_body
import listening_at

port_file = sys.argv[1]
files = {}


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def any(self):
        body, there = http_body.read(self), files.get(self.path)
        if self.command == "PUT":
            files[self.path] = body
        answer = b"" if self.command == "PUT" else there or b""
        self.send_response(201 if self.command == "PUT" else 404 if there is None else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_PUT = any


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
listening_at.tell(port_file, server)
server.serve_forever()
