# Every kind of change is named, and nothing else: each row is a change to a project that was built, and
# what --explain says of the steps that run then. explain.golden beside this has what is expected.
mkdir project
base="$BASE"
build() { "$WYTHE" build --progress=plain --build-context "base=oci-layout://$base" --build-context "more=project/more" "$@" project 2> log > built || { cat log; return 1; }; }
# Steps that run at once say so in either order.
because() { sed -n 's/^#[0-9]* [0-9.]* *because /  /p; s/^#[0-9]* because /  /p' log | LC_ALL=C sort; }
reset() {
  rm -rf project; mkdir -p project/src/d project/more; base=$BASE
  echo a > project/src/a; echo b > project/src/b; echo c > project/src/d/c; echo m > project/more/m
  chmod 644 project/src/* project/more/m 2> /dev/null || true
  chmod 755 project/src/d project/src project/more
  cat > project/Dockerfile
}
# try WHAT [FLAG…]: builds, changes the project by the words of `change`, and builds again.
try() {
  what=$1; shift
  build $before || return 1
  eval "$change"
  build --explain "$@" || return 1
  echo "$what"; because
  before=
}
before=
edit() { sed -i "$1" project/Dockerfile; }

reset <<'D'
FROM base
COPY src /src
D
{
change='echo z > project/src/a'; try 'a file has other bytes'
change='echo n > project/src/n'; try 'a file is new'
change='rm project/src/b'; try 'a file is gone'
change='chmod 755 project/src/a'; try 'a file has another mode'
change='rm project/src/a; ln -s b project/src/a'; try 'a file became a link'
change='ln -sfn d/c project/src/a'; try 'a link leads elsewhere'
change='mkdir project/src/e; echo 1 > project/src/e/1; echo 2 > project/src/e/2'; try 'a directory is new'
change='for n in 1 2 3 4 5 6 7; do echo $n > project/src/d/$n; done'; try 'many files are new'
change='echo "**/7" > project/.dockerignore'; try 'a file is ignored'
change='edit "s|COPY src /src|COPY src/d /src|"'; try 'another source'
change='edit "s|/src$|/other|"'; try 'another destination'
change='edit "s|COPY|COPY --chown=1:2|"'; try 'an owner'
change='edit "s|1:2|1:3|"'; try 'another owner'
change='edit "s|COPY|COPY --chmod=700|"'; try 'a mode'
change='edit "s|COPY|COPY --exclude=1|"'; try 'an exclude'
change='edit "s|COPY|COPY --parents|"'; try 'parents'
change='edit "s|COPY|COPY --link|; s| --chmod=700||"'; try 'link'

reset <<'D'
FROM base AS tools
ARG V=1
RUN echo $V > /made && echo tool > /tool
FROM base
ENV A=1
RUN echo one > /one
COPY --from=tools /made /made
RUN echo two > /tmp/two
D
change='edit "s|echo two|echo other|"'; try 'another command'
change='edit "s|ENV A=1|ENV A=2|"'; try 'another variable'
change='edit "s|ENV A=2|ENV A=2 B=3|"'; try 'a variable is new'
change=':'; try 'another argument' --build-arg V=2
before='--build-arg V=2'
change='edit "s|echo tool|echo tools|"'; try 'a step below, and equal files' --build-arg V=2
change='edit "s|^RUN echo other|USER app\nRUN echo other|"'; try 'another user'
change='edit "s|^USER app|USER 1000:1001|"'; try 'another way to name a user'
change='edit "s|^RUN echo other|WORKDIR /w\nRUN echo other|"; build; edit "s|WORKDIR /w|WORKDIR /v|"'; try 'another directory'
change='edit "s|RUN echo one|RUN echo zero > /zero\nRUN echo one|"'; try 'a step was put between'
change=':'; try 'a host' --add-host x:1.2.3.4
change=':'; try 'a network' --network=none
change=':'; try 'a limit' --ulimit nofile=99
change=':'; try 'shared memory' --shm-size 32m
change=':'; try 'no cache' --no-cache

reset <<'D'
FROM base
ARG MY_TOKEN=none
RUN --mount=target=/src,source=src --mount=type=cache,target=/c cat /src/a > /x
RUN --mount=type=secret,id=s,target=/s cat /s > /dev/null || :
COPY --from=more m /m
COPY <<E /text
words
E
D
change='echo z > project/src/a'; try 'a file of a mount'
change='edit "s|source=src|source=src/d|; s|cat /src/a|ls /src|"; build; edit "s|source=src/d|source=src|"'; try 'another source of a mount'
change='edit "s|type=cache,|type=cache,sharing=locked,|"'; try 'a cache is locked'
change='edit "s|type=cache,[^ ]*|type=tmpfs,target=/c|"'; try 'a mount of another type'
change=':'; try 'a secret argument' --build-arg MY_TOKEN=hunter2
if grep -rq hunter2 log; then echo 'a secret was told'; fi
change='echo given > secret'; try 'a secret is given' --secret id=s,src=secret
change='echo z > project/more/m'; try 'a file of a named context'
change='edit "s|^words|other words|"'; try 'a heredoc'

change='"$WYTHE" prune -a > /dev/null 2>&1 || :'; try 'nothing is kept'

reset <<'D'
FROM base
RUN echo one > /one
D
build
"$WYTHE" build -q --build-context "base=oci-layout://$base" -o type=oci,tar=false,dest=labelled - > /dev/null <<'D'
FROM base
RUN echo b > /b
D
change='base=labelled'; try 'another base'
base=$BASE
mkdir other; printf 'FROM base\nRUN echo of another project > /x\n' > other/Dockerfile
"$WYTHE" build --explain --progress=plain --build-context "base=oci-layout://$base" other 2> log > /dev/null
echo 'another project'; because
change='edit "s|echo one|echo uno|"'; try 'and this one again'
printf 'FROM base\nRUN exit 1\n' > project/Dockerfile
for _ in 1 2; do if build --explain > /dev/null; then exit 1; fi; done
echo 'a step that failed'; because
} > told 2>&1
sed -i 's/@sha256:[0-9a-f]*/@sha256:.../g' told
diff -u "$CASES/../explain.golden" told

# As values, and afterwards.
printf 'FROM base\nENV V=1\nRUN echo $V > /v\n' > project/Dockerfile
build -t explained:1
edit s/V=1/V=2/
"$WYTHE" build -t explained:1 --explain --progress=json --build-context "base=oci-layout://$base" project 2> log > /dev/null
change='{"kind":"value","new":"2","old":"1","what":"variable V"}'
grep -F "$change" log > /dev/null
"$WYTHE" explain explained:1 > said
grep -q 'because variable V changed from "1" to "2"' said
grep -q 'argument: "echo $V > /v"' said
key=$(cut -c1-10 said | head -n 1)
"$WYTHE" explain --format json "$key" | grep -F "$change" > /dev/null
if "$WYTHE" explain nothing:1 2> log; then exit 1; fi
