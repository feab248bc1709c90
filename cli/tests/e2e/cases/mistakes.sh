# A mistake ends the build with its exit code, the place of the very words, and one remedy; programs get the same.
mkdir context
printf 'a' > context/file
printf 'b' > context/filed
printf '*.md\n' > context/.dockerignore
printf 'c' > context/notes.md
base="--build-context base=oci-layout://$BASE"

# mistake CODE PLACE REMEDY DOCKERFILE [FLAG…]
mistake() {
  code=$1 place=$2 remedy=$3
  printf "$4" > context/Dockerfile
  shift 4
  status=0
  # shellcheck disable=SC2086
  "$WYTHE" build --progress=plain $base "$@" context 2> err > out || status=$?
  cat err
  [ "$status" = "$code" ]
  grep -qF "$place" err
  grep -qF "help: $remedy" err
  [ ! -s out ]
  if grep -qF "$WYTHE_STORE" err; then return 1; fi
}

mistake 2 Dockerfile:2:6: 'did you mean "/file" or "/filed"?' 'FROM scratch\nCOPY fiel /\n'
mistake 2 'excluded by "*.md" in .dockerignore:1' 'remove that line' 'FROM scratch\nCOPY notes.md /\n'
mistake 2 Dockerfile:3:8: 'choose another' 'FROM base\nCOPY file /f\nCOPY . /f\n'
mistake 2 'not found in the stage one' 'did you mean "/etc/passwd"?' \
  'FROM base AS one\nFROM base\nCOPY --from=one /etc/paswd /x\n'
mistake 2 Dockerfile:2:13: 'give it with --secret id=t' 'FROM base\nRUN --mount=type=secret,id=t,required true\n'
mistake 2 Dockerfile:2:13: 'did you mean "/file"' 'FROM base\nRUN --mount=source=fiel,target=/m true\n'
mistake 2 Dockerfile:2:15: 'allow it with --allow network.host' 'FROM base\nRUN --network=host true\n'
mistake 2 Dockerfile:2:9: 'close it with "' 'FROM base\nLABEL a="b\n'
mistake 2 Dockerfile:1:17: 'write os/architecture' 'FROM --platform=linx base\n'
mistake 2 'target stage "bulid"' 'did you mean build?' 'FROM base AS build\n' --target bulid
mistake 1 Dockerfile:2:1: '127 says' 'FROM base\nRUN nosuch\n'
mistake 2 Dockerfile:2:1: 'rename the file' 'FROM scratch\nCOPY file /d/.wh.x\n'
mistake 2 Dockerfile:1:11: 'only Dockerfiles are built' '// syntax=foo/bar:1\nkind: x\n'
grep -q 'a file for the frontend foo/bar:1$' err
mistake 2 Dockerfile:1:12: 'only Dockerfiles are built' '{"syntax":"foo/bar:1"}\n'
grep -q 'a file for the frontend foo/bar:1$' err
mistake 2 Dockerfile:3:1: "write the digits alone" "FROM base\nUSER -1\nRUN true\n"
mistake 2 Dockerfile:2:1: 'create it in an earlier step' 'FROM base\nCOPY --chown=nobdy file /\n' --strict

printf 'FROM scratch\nCOPY fiel /\n' > context/Dockerfile
if "$WYTHE" build --progress=json context 2> err; then exit 1; fi
grep -q '"findings":\[{"column":6,"end":{"column":10,"line":2},"file":"Dockerfile"' err

printf 'FROM base\nCOPY --chown=nobdy file filed /f\n' > context/Dockerfile
# shellcheck disable=SC2086
"$WYTHE" build --progress=plain $base context 2> err
grep -q 'UnknownCopyOwner: .*(line 2)' err
grep -q 'OverwrittenCopySource: .*(line 2)' err

printf '# c\n[a\n' > context/.dockerignore
mistake 2 .dockerignore:2:1: 'close the bracket' 'FROM scratch\nCOPY file /\n'
rm context/.dockerignore

"$WYTHE" build --call=context context > out
grep -q 'in 4 files' out

# Editors of Windows write letters of two bytes.
if command -v iconv > /dev/null; then
  printf '*.md\r\n' | iconv -t UTF-16 > context/.dockerignore
  mistake 2 .dockerignore:1:1 'save it as UTF-8' 'FROM scratch\nCOPY file /\n'
  grep -q 'is UTF-16' err
  rm context/.dockerignore
  printf 'FROM scratch\nCOPY file /\n' | iconv -t UTF-16LE > context/Dockerfile
  if "$WYTHE" build context 2> err; then exit 1; fi
  grep -q '^error: the Dockerfile is UTF-16, not UTF-8' err
fi

# What a layout of this machine does not have, no credentials bring.
printf 'FROM other\n' > context/Dockerfile
for image in "@sha256:$(printf '0%.0s' $(seq 64))" :nope; do
  status=0
  "$WYTHE" build --build-context "other=oci-layout://$BASE$image" context 2> err || status=$?
  cat err
  [ "$status" = 2 ]
  grep -q 'the layout has no image' err
  if grep -q login err; then exit 1; fi
done
