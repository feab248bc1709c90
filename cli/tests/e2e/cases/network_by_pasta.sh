# A network by pasta leads out, and not to this machine; where it cannot be had the step is refused by name.
mkdir context
build() {
  printf 'FROM base\n%s\n' "$1" > context/Dockerfile
  shift
  "$WYTHE" --progress=plain build --no-cache --build-context base=oci-layout://"$BASE" "$@" context > out 2> log
}
# Where there is none, whoever asks for it is told what to install.
mkdir few
ln -s "$(command -v newuidmap)" "$(command -v newgidmap)" few
status=0
(PATH=$PWD/few; build 'RUN true' --network=pasta) || status=$?
[ "$status" = 4 ]
grep -q 'pasta is not installed' log
grep -q 'install the package passt' log
if ! command -v pasta > /dev/null; then
  echo "no pasta here"
elif ! [ -r /dev/net/tun -a -w /dev/net/tun ]; then
  # It says itself what it lacks.
  fails build 'RUN true' --network=pasta
  grep -q 'giving the step a network by' log
  grep -q 'it ended with' log
else
  python3 -c 'import http.server; server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler); print(server.server_port, flush=True); server.serve_forever()' > port 2> asked &
  server=$!
  trap 'kill $server' EXIT
  until [ -s port ]; do sleep 0.05; done
  build 'RUN [ "$(grep -c : /proc/net/dev)" = 2 ] && grep -q nameserver /etc/resolv.conf && [ "$(wc -l < /proc/net/route)" -gt 1 ]' --network=pasta
  # Neither the loopback of this machine is reached, nor by the address of the router.
  fails build "RUN wget -q -T 2 -O /dev/null http://127.0.0.1:$(cat port)/" --network=pasta
  fails build "RUN router=\$(ip route | awk '/^default/ { print \$3 }') && wget -q -T 2 -O /dev/null http://\$router:$(cat port)/" --network=pasta
  [ ! -s asked ]
  fails build 'RUN --network=host true' --network=pasta --allow network.host
  grep -q 'leads around' log
  if pgrep -u "$(id -u)" -x pasta; then exit 1; fi
fi
