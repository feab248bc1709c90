#!/bin/bash
# Images as people build them, from the packages of a real Debian: a server in C that is compiled and
# cleaned up after, a program in Python, a web server, a database with its language, a site on nothing.
# Each is built as an ordinary user, started, and asked whether it is what its Dockerfile says.
#
# Needs: mmdebstrap; network access to a Debian mirror.
# Usage: real.sh [ROOTFS.tar]   (a Debian bookworm root file system; made when not given)
. "$(dirname "$0")/lib.sh"
cp -r "$here/real" "$work/real"
rootfs=$work/real/base/rootfs.tar
if [ $# -gt 0 ]; then cp "$1" "$rootfs"; else mmdebstrap --quiet --variant=minbase bookworm "$rootfs"; fi

w() { "$wythe" --store "$work/store" --progress plain "$@"; }
# The same build gives the same image, so that a second one can be compared with the first.
build() { w build --build-arg SOURCE_DATE_EPOCH=1700000000 -t "$1" --iidfile "$work/$2" "$work/real/${1##*/}"; }
# runs IMAGE EXPECTED COMMAND…: what a command prints in an image.
runs() {
  local image=$1 expected=$2 found
  shift 2
  found=$(w run "$image" "$@")
  echo "$found"
  [ "$found" = "$expected" ]
}
# says IMAGE TEXT…: the configuration of an image has each of the texts.
says() {
  local image=$1 text
  shift
  w inspect --raw config "$image" > "$work/config"
  for text; do grep -qF "$text" "$work/config" || { cat "$work/config"; echo "no $text"; return 1; }; done
}
cached() {
  local name
  for name in site server web proxy database; do
    build "real/$name" again > "$work/again.log" 2>&1 || return 1
    if grep DONE "$work/again.log"; then echo "$name runs a step"; return 1; fi
    cmp "$work/$name" "$work/again" || return 1
  done
}

base() { w build -t localhost/debian:bookworm "$work/real/base"; }
check "the root file system of a Debian becomes an image" base

check "a site on nothing is built" build real/site site
site_files() {
  w build -o "type=tar,dest=$work/site.tar" "$work/real/site" &&
    tar tf "$work/site.tar" | sed 's|^\./||; s|/$||; /^$/d' | sort > "$work/site.list" &&
    printf '%s\n' bin bin/busybox etc etc/httpd.conf etc/passwd srv srv/index.html | diff - "$work/site.list"
}
check "it holds its program, its page, and no draft" site_files
check "its user has the name of its own passwd" says real/site '"User":"www"' '"Entrypoint":["/bin/busybox","httpd"]'

check "a server in C is built, and its compiler removed again" build real/server server
version() { w run real/server kv-server --version | grep -E '^kv 1\.2\.3 pages (12|16)$'; }
check "it was compiled for its version" version
check "it steps down from root" runs real/server "uid 999 gid 999" --whoami
talk() { runs real/server $'OK\n1\n(nil)\n-rw------- 999 999' \
  sh -c 'printf "SET a 1\nGET a\nGET b\n" > /tmp/talk && docker-entrypoint.sh kv-server < /tmp/talk && stat -c "%A %u %g" /data/kv.db'; }
check "it answers, and owns its data" talk
purged() {
  runs real/server libdb5.3 sh -c 'for name in gcc libc6-dev libdb5.3-dev libdb5.3; do
    dpkg -s "$name" > /dev/null 2>&1 && echo "$name"
  done'
}
check "of its packages only the library that it links to stays" purged
check "its configuration says how to stop it and what it keeps" says real/server \
  '"StopSignal":"SIGINT"' '"Volumes":{"/data":{}}' '"7379/tcp":{}' '"Interval":5000000000'

check "a program in Python is built in stages" build real/web web
check "its tests pass, in a stage that only they need" w build --target test "$work/real/web"
check "it runs as its user, with the argument of the build" runs real/web "HELLO, APP BIG WORLD" big world
owned() {
  local look='stat -c "%U %G %a" /usr/local/bin/start; command -v python; whoami'
  [ "$(w run --entrypoint sh real/web -c "$look")" = $'app app 555\n/opt/venv/bin/python\napp' ]
}
check "the program belongs to its user and runs in its environment" owned

check "a web server is built, and accepts its configuration" build real/proxy proxy
asked() {
  runs real/proxy $'/where on 8080\n/dev/stdout\nwww-data' bash -c 'nginx >&2 &&
    exec 3<> /dev/tcp/127.0.0.1/8080 && printf "GET /where HTTP/1.0\r\n\r\n" >&3 && sed 1,/^.$/d <&3 &&
    readlink /var/log/nginx/access.log && stat -c %U /srv/www/index.html'
}
check "it answers as configured, and logs to whoever started it" asked

check "a database is built, with the language of its data" build real/database database
# Single-user mode prints a line for each column of each row.
sorted() {
  runs real/database $'Ä\nb\nzwölf' bash -c \
    'postgres --single -j postgres <<< "select word from words order by word;" | sed -n "s/.*word = \"\(.*\)\".*/\1/p"'
}
check "it sorts what was put in by a step" sorted
kept() { runs real/database $'990\npostgres 700\nen_US.utf8' bash -c 'id -u; stat -c "%U %a" "$PGDATA"; echo "$LANG"'; }
check "its data belongs to its user alone" kept

check "building all of them again runs no step and gives the same images" cached
