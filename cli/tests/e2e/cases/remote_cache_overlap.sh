# A cache is written while later steps run: a step waits for the layer of the one before it to be there, which it never
# is where results are written at the end. mode=min sends nothing that is in no image, and a layer is compressed once.
# A layer of more than 256 KiB leaves by itself; smaller ones wait for each other, and are one blob.
command -v python3 > /dev/null || skip "python3 is not installed"
cat > server.py << 'X'
"""A cache over HTTP that answers /seen/N once N blobs were put, and says who asked for what in `requests`."""
import http.server, pathlib, sys, threading
root, changed, log = pathlib.Path("kept"), threading.Condition(), open("requests", "w")
blobs = lambda: len(list(root.glob("cas/*"))) if root.is_dir() else 0
class Cache(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self, status, body=b""):
        log.write(f"{self.command} {self.path} {status}\n"); log.flush()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    def do_GET(self):
        if self.path.startswith("/seen/"):
            with changed: there = changed.wait_for(lambda: blobs() >= int(self.path[6:]), 60)
            return self.answer(200 if there else 504, b"seen\n")
        file = root / self.path[1:]
        self.answer(200, file.read_bytes()) if file.is_file() else self.answer(404)
    do_HEAD = do_GET
    def do_PUT(self):
        body, file = self.rfile.read(int(self.headers["content-length"])), root / self.path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".new").write_bytes(body)
        with changed: file.with_suffix(".new").rename(file); changed.notify_all()
        self.answer(201)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cache)
open("port.new", "w").write(str(server.server_address[1]))
pathlib.Path("port.new").rename("port")
server.serve_forever()
X
python3 server.py &
pid=$!
trap 'kill $pid' EXIT
tries=0
until [ -s port ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.1
done
service=http://127.0.0.1:$(cat port)
mkdir context
cat > context/Dockerfile << X
FROM base AS made
RUN echo made > /made && echo more > /more
FROM base
RUN head -c 400000 /dev/urandom > /one
RUN --network=host wget -q -O /seen $service/seen/1
COPY --from=made /made /
X
"$WYTHE" --store cold --progress plain build --allow network.host --build-context base=oci-layout://"$BASE" -o type=oci,dest=cold.tar \
  --cache-to "type=http,url=$service" context 2> log || { cat log; false; }
grep -q '3 results written, 3 layers sent' log
# The long layer, and in one blob the two others and what the copy has read, which --explain shows elsewhere.
[ "$(grep -c 'PUT /cas/' requests)" = 2 ] || { cat requests; false; }
# The long one is that of the image.
mkdir layout
tar -xf cold.tar -C layout
same=0
for blob in kept/cas/*; do
  [ ! -e "layout/blobs/sha256/${blob##*/}" ] || cmp "$blob" "layout/blobs/sha256/${blob##*/}"
  [ ! -e "layout/blobs/sha256/${blob##*/}" ] || same=$((same + 1))
done
[ "$same" = 1 ]

# All of it: what is in no image, too, and nothing twice, though other times make other layers.
"$WYTHE" --store other --progress plain build --allow network.host --build-context base=oci-layout://"$BASE" -o type=oci,dest=all.tar \
  --cache-to "type=http,url=$service,mode=max" context 2> log || { cat log; false; }
grep -q "1 results written, 1 layers sent" log || { cat log; false; }
[ "$(grep -c 'PUT /cas/' requests)" = 3 ] || { cat requests; false; }

# A machine that finds everything asks for each step once, and writes nothing.
before=$(wc -l < requests)
"$WYTHE" --store warm --progress plain build --allow network.host --build-context base=oci-layout://"$BASE" -o type=cacheonly \
  --cache-from "type=http,url=$service" --cache-to "type=http,url=$service,mode=max" context 2> log || { cat log; false; }
[ "$(tail -n "+$((before + 1))" requests | grep -cv '^GET /ac/')" = 0 ] || { tail -n "+$((before + 1))" requests; false; }
[ "$(tail -n "+$((before + 1))" requests | wc -l)" -le 4 ]
