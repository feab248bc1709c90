# An archive's images are loaded under the names they have in it, or under another.
mkdir context
printf 'FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY a /b\n' > context/Dockerfile
echo a > context/a
"$WYTHE" build --target one,two -t saved-{target}:1 -t one=saved:extra -o type=docker,dest=both.tar context
"$WYTHE" load -i both.tar > digests
[ "$(wc -l < digests)" = 2 ]
"$WYTHE" images > images
for name in saved-one:1 saved-two:1 saved:extra; do grep -q "/$name " images; done
"$WYTHE" rmi saved-one:1 saved-two:1 saved:extra
"$WYTHE" load -i both.tar --select saved-two:1 > digest
tail -n 1 digests | cmp - digest
"$WYTHE" inspect saved-two:1 > /dev/null
if "$WYTHE" inspect saved-one:1 2> /dev/null; then exit 1; fi
"$WYTHE" load -i both.tar --select saved-one:1 -t other
"$WYTHE" inspect other > /dev/null

"$WYTHE" build -o type=oci,dest=unnamed.tar context
if "$WYTHE" load -i unnamed.tar 2> refused; then exit 1; fi
grep -q -- '--tag' refused
"$WYTHE" load -i unnamed.tar -t now-named
