"""What the services of the end-to-end cases are sent."""


def read(handler):
    """The body of a request: with a length, or in chunks, as the older interface of GitHub's cache is sent files."""
    if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    body = b""
    while length := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(length)
        handler.rfile.readline()
    handler.rfile.readline()
    return body
