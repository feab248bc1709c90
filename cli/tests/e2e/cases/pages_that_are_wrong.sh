# What a page says and does not come true is found, block by block.
[ -n "$REGISTRY" ] || skip "needs docker-registry"
page() { name=$1; shift; printf '%s\n' "$@" > "$name.md"; }
page right '```sh' 'true' 'false # status=1' 'echo one # says="one"' '```' '```console' '$ printf "a\nb\nc\n"' 'a' '…' 'c' '```'
page fails '```sh' 'false' '```'
page succeeds '```sh' 'true # status=1' '```'
page silent '```sh' 'echo one # says="two"' '```'
page differs '```console' '$ echo one' 'two' '```'
page more '```console' '$ printf "a\nb\n"' 'a' '```'
page builds '```dockerfile error="unknown"' 'FROM base' '```'
page breaks '```dockerfile' 'FORM base' '```'
page broken '```json' '{"a":}' '```'
page unknown '```yaml' 'a: b' '```'
page indented '    wythe build .'
page endless '```sh' 'true'
page continued '```sh' 'cat > f <<X' 'false' 'X' 'test "$(cat f)" = false && \' '  cd / && export A=b' 'test "$PWD$A" = /b' '```'
page mentions 'It is `wythe build --file X .`, `wythe cache ls` and `wythe history ls|rm`.'
page misspelt 'It is `wythe bild`.'
page flagless 'It is `wythe cache ls --nothing`.'
status=0
python3 "$CASES/../pages.py" ./*.md > found || status=$?
cat found
[ "$status" = 1 ]
for name in fails succeeds silent differs more builds breaks broken unknown indented endless misspelt flagless; do grep -q "^$name.md: line " found; done
tail -n 1 found | grep -q '^16 pages, .* 0 not run, 13 wrong$'
