# A step with a list of hosts reaches those and nothing else, and what it asked for is recorded.
mkdir context site
echo from the site > site/file
python3 - "$PWD/site" > port <<'X' &
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()
X
server=$!
trap 'kill $server' EXIT
until [ -s port ]; do sleep 0.05; done
port=$(cat port)
base="--build-context base=oci-layout://$BASE"
build() {
  printf 'FROM base\n%s\n' "$1" > context/Dockerfile
  shift
  "$WYTHE" --progress=plain build $base "$@" context > out 2> log
}
listed() { build "$1" --add-host site.test:127.0.0.1 --network="allow:site.test:$port,*.listed.test"; }

# It is there by its name, and by no way around the proxy.
listed "RUN wget -q -O /file http://site.test:$port/file && grep -q 'from the site' /file"
fails listed "RUN wget -q -T 2 -O /dev/null -Y off http://127.0.0.1:$port/file"
grep -q 'reaches hosts of --network=allow by http_proxy' log
fails listed 'RUN nc -w 2 192.0.2.1 80 < /dev/null'
fails listed 'RUN nslookup site.test 192.0.2.1'
listed 'RUN [ "$(grep -c : /proc/net/dev)" = 1 ] && [ ! -s /etc/resolv.conf ] && [ "$(wc -l < /proc/net/route)" = 1 ] && ! grep -v "lo$" /proc/net/ipv6_route'
for address in 169.254.169.254 169.254.170.2 '[fd00:ec2::254]' 127.0.0.1 '[::1]' localhost; do
  fails listed "RUN wget -q -T 2 -O /dev/null http://$address/"
done

# What is refused is named, to the program and in the log.
fails listed 'RUN wget -O /dev/null http://evil.test/'
grep -q 'wythe: evil.test:80 was refused: it is not on the list of --network=allow' log
grep -q '403 Forbidden (evil.test:80: it is not on the list' log
fails listed 'RUN wget -q -O /dev/null http://site.test/'
grep -q 'site.test:80 was refused' log
# A name that is on the list does not lead to this machine, unless its address is.
fails build 'RUN wget -q -O /dev/null http://localhost/' '--network=allow:localhost'
grep -q 'is no address of the internet' log
build "RUN wget -q -O /dev/null http://localhost:$port/file" "--network=allow:localhost:$port,127.0.0.1:$port,[::1]:$port"

# A Dockerfile has less, and never more.
listed "RUN --network=none ! wget -q -T 2 -O /dev/null http://site.test:$port/file"
fails build 'RUN --network=host true' --network=allow:site.test --allow network.host
grep -q 'leads around the list' log
build 'RUN --network=default [ "$(grep -c : /proc/net/dev)" = 1 ]' --network=none
fails build 'RUN true' --network=allow:site.test --build-arg HTTP_PROXY=http://other
fails build 'RUN true' --network=allow:
fails build 'RUN true' --network=bridge

# The variables are in no image. What was asked for is an event, and in the provenance of whoever finds the result again.
printf 'FROM base\nRUN wget -q -O /file http://site.test:%s/file; wget -q -O /dev/null http://evil.test/; true\n' "$port" > context/Dockerfile
events() {
  "$WYTHE" --progress=json build $base --add-host site.test:127.0.0.1 --network="allow:site.test:$port" \
    --provenance=mode=max -o "$1" context 2> "$1.events"
}
events first
python3 - first.events "$port" <<'X'
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
found = {(one["host"], one["port"], one["verdict"]) for one in events if one["event"] == "egress"}
assert found == {("site.test", int(sys.argv[2]), "reached"), ("evil.test", 80, "refused")}, found
X
# Another list finds the result, and says what it reached.
"$WYTHE" --progress=json build $base --add-host site.test:127.0.0.1 --network='allow:*:*' --provenance=true -o second context 2> second.events
grep -q '"event":"cached"' second.events
if grep -q '"egress"' second.events; then exit 1; fi
python3 - "$port" first second <<'X'
import glob, json, sys
for place in sys.argv[2:]:
    statement = json.load(open(glob.glob(place + "/**/provenance.json", recursive=True)[0]))
    told = statement["predicate"]["runDetails"]["metadata"]["wythe_egress"]
    [step] = told["steps"]
    hosts = {(one["host"], one["port"], one["verdict"]) for one in step["hosts"]}
    assert hosts == {("site.test", int(sys.argv[1]), "reached"), ("evil.test", 80, "refused")}, hosts
    assert step["recorded"] and ("name" in step) == (place == "first"), step
X
# One without what it reached does not.
"$WYTHE" --progress=json build $base --network=allow:evil.test:81 context 2> narrow.events
if grep -q '"event":"cached"' narrow.events; then exit 1; fi
"$WYTHE" build -t listed $base --add-host site.test:127.0.0.1 --network="allow:site.test:$port" context
if "$WYTHE" inspect listed | grep -i proxy; then exit 1; fi
# The network of this machine is another one, whose results are not taken for those of a list.
"$WYTHE" --progress=json build $base --add-host site.test:127.0.0.1 context 2> third.events
if grep -q '"event":"cached"' third.events; then exit 1; fi
"$WYTHE" rmi listed
