#!/bin/bash
set -e
for script in /docker-entrypoint.d/*.sh; do
	[ -x "$script" ] && "$script" >&2
done
exec "$@"
