# A project begins with files that build and that no check complains about, and that nothing is written over for.
export HOME=$PWD
mkdir site && printf '<h1>hello</h1>\n' > site/index.html
"$WYTHE" init site > out
grep -qx site/Dockerfile out
grep -qx site/.dockerignore out
"$WYTHE" build --progress=plain --check --strict site
"$WYTHE" build --progress=plain --build-context "busybox:1.37.0=oci-layout://$BASE" -o type=local,dest=image site
[ "$(cat image/srv/index.html)" = '<h1>hello</h1>' ]
[ ! -e image/srv/Dockerfile ]

# Never over what is there, be it a link to nowhere.
sum=$(cksum < site/Dockerfile)
status=0
"$WYTHE" init site 2> err || status=$?
[ "$status" = 2 ]
grep -q 'is there already' err
[ "$(cksum < site/Dockerfile)" = "$sum" ]
mkdir linked && touch linked/index.html && ln -s ../away linked/Dockerfile
fails "$WYTHE" init linked
[ ! -e away ]
[ ! -e linked/.dockerignore ]
mkdir kept && touch kept/index.html && echo mine > kept/.dockerignore
"$WYTHE" init kept 2> err
grep -q 'stays as it is' err
[ "$(cat kept/.dockerignore)" = mine ]

# checked LANGUAGE: what it begins with passes every check.
checked() {
  [ -e "$1/Dockerfile" ] || "$WYTHE" init "$1" 2> /dev/null > /dev/null
  "$WYTHE" build --check --strict "$1"
}
mkdir rust go node python maven gradle c
printf '[package]\nname = "tool"\n' > rust/Cargo.toml
printf 'module example.com/tool\n' > go/go.mod
printf '{"scripts": {"build": "tsc", "start": "node ."}}' > node/package.json
touch python/requirements.txt python/main.py maven/pom.xml gradle/build.gradle
printf 'tool: tool.c\n' > c/Makefile
for language in rust go node python maven gradle c; do
  checked "$language"
done

mkdir empty
status=0
"$WYTHE" init empty 2> err || status=$?
[ "$status" = 2 ]
grep -q -- --language err
