"""A registry that answers with the status its repositories are named for: statuses.py PORT. Beside it, /packed is a file
in a coding for the way."""
import gzip
import http.server
import sys

import listening_at


class Statuses(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body, coding = 404, b'{"errors":[{"code":"ODD","message":"told once"}]}', None
        if self.path == "/packed":
            status, body, coding = 200, gzip.compress(b"the file"), "gzip"
        for part in self.path.split("/"):
            status = int(part) if len(part) == 3 and part.isdigit() else status
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        # Longer than anybody waits.
        self.send_header("Retry-After", "3600")
        if coding:
            self.send_header("Content-Encoding", coding)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Statuses)
listening_at.tell(sys.argv[1], server)
server.serve_forever()
