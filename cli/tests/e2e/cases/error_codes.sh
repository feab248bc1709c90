# What goes wrong has a code, with a page that says what to do; JSON has it, too, and the first line is as it always was.
mkdir context
printf 'a' > context/file

# raises CODE CLASS DOCKERFILE [FLAG…]
raises() {
  code=$1 class=$2
  printf "$3" > context/Dockerfile
  shift 3
  with "$code" "$class" "$WYTHE" build --progress=plain --build-context "base=oci-layout://$BASE" "$@" context
}
# with CODE CLASS COMMAND…
with() {
  code=$1 class=$2
  shift 2
  status=0
  "$@" > out 2> err || status=$?
  cat err
  [ "$status" = "$class" ]
  grep -q '^error: ' err
  [ "$(tail -n 1 err)" = "code: $code (see \`wythe explain $code\`)" ]
  "$WYTHE" explain "$code" | head -n 1 | grep -q "^# $code: "
}
raises E0101 2 'FROM base\nRUNN true\n'
raises E0102 2 'FROM scratch\nCOPY fiel /\n'
raises E0103 2 'FROM base AS build\n' --target bulid
printf '[a\n' > context/.dockerignore
raises E0104 2 'FROM scratch\nCOPY file /\n'
rm context/.dockerignore
printf '[flags.build]\nno-cash = true\n' > own.toml
with E0105 2 env "WYTHE_CONFIG=$PWD/own.toml" "$WYTHE" images
printf 'group "default" {\n  targets = ["ap"]\n}\n' > bad.hcl
with E0106 2 "$WYTHE" bake -f bad.hcl
with E0107 2 "$WYTHE" save -o x.tar not-here:at-all
with E0108 2 "$WYTHE" tag base:x My/App
raises E0201 1 'FROM base\nRUN false\n'
raises E0202 1 'FROM base\nWORKDIR there\n' --check
if [ -n "$REGISTRY" ]; then
  raises E0301 3 "FROM $REGISTRY/none/such:tag\n"
fi
port=$("$CASES/../ports" 1)
raises E0303 3 "FROM 127.0.0.1:$port/none/such:tag\n"
raises E0309 3 "FROM scratch\nADD http://127.0.0.1:$port/file /\n"

printf 'FROM base\nRUNN true\n' > context/Dockerfile
if "$WYTHE" build --progress=json context 2> err; then exit 1; fi
grep -q '"kind":"E0101"' err
status=0
"$WYTHE" explain E9999 2> err || status=$?
[ "$status" = 2 ]
