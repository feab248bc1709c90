# A store on a read-only file system is read, and what would write to it is refused by name.
mkdir context at
echo content > context/f
printf 'FROM scratch\nCOPY f /f\n' > context/Dockerfile
"$WYTHE" --store "$PWD/store" build -q -t app context
cat > on.sh <<'END'
mount --bind store at && mount -o remount,bind,ro at || exit 9
for command in images 'inspect app' du verify; do "$WYTHE" --store at $command > /dev/null || exit 1; done
"$WYTHE" --store at save app > saved.tar || exit 2
if "$WYTHE" --store at build -t other context 2> told; then exit 3; fi
grep -q 'read-only' told && grep -q '^help:' told
END
unshare -Urm sh on.sh
[ "$(tar -xOf saved.tar index.json | grep -c sha256)" = 1 ]
