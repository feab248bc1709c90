"""A proxy that breaks connections.

    breaking_proxy.py PORT TO_PORT AFTER TIMES COUNT

Listens on a port of the loopback and passes on what comes to another. So often a connection is reset once so many bytes have
come from the client; then none is. How many bytes came from clients in all is kept in the file COUNT.
"""

import socket
import struct
import sys
import threading

port, to_port, after, times = map(int, sys.argv[1:5])
count = sys.argv[5]
lock = threading.Lock()
total = 0


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def may_break():
    global times
    with lock:
        times -= 1
        return times >= 0


def note(length):
    global total
    with lock:
        total += length
        with open(count, "w") as out:
            out.write(f"{total}\n")


def back(server, client):
    try:
        while data := server.recv(1 << 16):
            client.sendall(data)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    server = socket.create_connection(("127.0.0.1", to_port))
    threading.Thread(target=back, args=(server, client), daemon=True).start()
    passed = 0
    try:
        while data := client.recv(1 << 16):
            server.sendall(data)
            passed += len(data)
            note(len(data))
            if after <= passed and may_break():
                reset(client)
                # The registry has what was passed on, and learns that no more comes.
                server.close()
                return
        server.shutdown(socket.SHUT_WR)
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", port), backlog=64)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
