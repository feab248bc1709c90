#!/usr/bin/env python3
"""hanging_service.py PORT FILE METHOD…: a web server that never answers requests of these methods, and has nothing of what
others ask for. It writes a line to FILE for each request that it leaves without an answer.
"""

import http.server
import sys
import threading


def main():
    port, log, *silent = sys.argv[1:]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            if self.command in silent:
                with open(log, "a") as file:
                    file.write(f"{self.command} {self.path}\n")
                threading.Event().wait()
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
