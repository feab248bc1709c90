#!/bin/sh
set -e

# a first argument that is a flag is one of the server's
if [ "${1#-}" != "$1" ]; then
	set -- kv-server "$@"
fi

# steps down from root, and takes what it needs along
if [ "$1" = 'kv-server' ] && [ "$(id -u)" = '0' ]; then
	find . \! -user kv -exec chown kv '{}' +
	exec setpriv --reuid=kv --regid=kv --clear-groups "$0" "$@"
fi

exec "$@"
