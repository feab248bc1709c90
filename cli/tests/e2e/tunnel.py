"""A proxy's answer to CONNECT: bytes go to and fro until one side has no more."""
import socket
import threading


def answer(handler, address):
    """Connects the client of a request handler with a server at an address of host and port."""
    there = socket.create_connection(address)
    handler.send_response(200)
    handler.end_headers()
    back = threading.Thread(target=pump, args=(there, handler.connection), daemon=True)
    back.start()
    pump(handler.connection, there)
    back.join()
    handler.close_connection = True


def pump(source, sink):
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
