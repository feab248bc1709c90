# A build of the same context runs no step, in whichever directory the context lies.
mkdir one
printf 'FROM base\nCOPY a /a\nRUN date +%%s%%N > /stamp\n' > one/Dockerfile
echo a > one/a
cp -r one two
build() { "$WYTHE" build -t "$1" --iidfile "$1.id" --build-context base=oci-layout://"$BASE" "$1"; }
build one
build two
cmp one.id two.id
