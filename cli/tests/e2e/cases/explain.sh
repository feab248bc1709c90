# Reasons are told to who asks for them.
mkdir context
build() { "$WYTHE" build --progress=plain "$@" context 2> log > /dev/null; }
printf 'FROM scratch\nCOPY a /x\n' > context/Dockerfile
echo a > context/a
build
echo b > context/a
build --explain
grep -q 'has changed' log
echo c > context/a
build
if grep -q 'has changed' log; then exit 1; fi
