"""hang_up.py COMMAND…: runs a plugin as docker does, hangs up once its step prints, and wants it to end as interrupted."""
import os, socket, subprocess, sys

name = f"wythe-test-{os.getpid()}"
server = socket.socket(socket.AF_UNIX)
server.bind("\0" + name)
server.listen()
environment = dict(os.environ, DOCKER_CLI_PLUGIN_SOCKET="@" + name)
plugin = subprocess.Popen(sys.argv[1:], env=environment, stderr=subprocess.PIPE)
server.settimeout(60)
connections = []
for line in plugin.stderr:
    if b"step is at work" in line and b"RUN" not in line:
        break
server.settimeout(0)
try:
    while True:
        connections.append(server.accept()[0])
except BlockingIOError:
    pass
assert connections, "the plugin has not called"
for connection in connections:
    connection.close()
plugin.stderr.read()
code = plugin.wait(timeout=60)
assert code == 130, f"it ended with {code}"
