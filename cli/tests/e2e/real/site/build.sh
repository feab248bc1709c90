#!/bin/sh
# build.sh PAGES OUT: a page of HTML for each page of text.
set -eu
for page in "$1"/*; do
	name=$(basename "$page" .txt)
	[ -f "$page" ] || { echo "$name is no page" >&2; exit 1; }
	sed "s|^|<p>|; s|\$|</p>|" "$page" > "$2/$name.html"
done
