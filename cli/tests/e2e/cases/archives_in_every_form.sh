# Archives as people's tools write them: unpacked where links of the image lead, with holes, without
# an end, with rubbish behind; and what begins like an archive and is damaged is never just copied.
mkdir context
cd context
mkdir -p t/lib/sub
echo x > t/lib/sub/x
tar -C t -cf linked.tar lib/sub/x
truncate -s 1M holes
printf end >> holes
tar --format=posix -S -V label -cf holes.tar holes
head -c 1536 linked.tar > unended.tar
gzip -c linked.tar > rubbish.tar.gz
printf 'rubbish' >> rubbish.tar.gz
tar -P -cf out.tar --transform 's,^t/lib/sub/x,../evil,' t/lib/sub/x
head -c 300 linked.tar > cut.tar
tr x y < linked.tar > damaged.tar

cat > Dockerfile <<'X'
FROM scratch AS base
COPY --link t/lib /usr/lib
ADD link.tar /
FROM base
ADD linked.tar /
ADD holes.tar unended.tar rubbish.tar.gz /o/
X
ln -s usr/lib lib
tar -cf link.tar lib
"$WYTHE" build -o type=local,dest=../made .
cd ..
[ -L made/lib ]
[ "$(cat made/usr/lib/sub/x)" = x ]
cmp context/holes made/o/holes
[ "$(cat made/o/lib/sub/x)" = x ]

# refused FILE WORDS: ADD of it fails, and says why
refused() {
  printf 'FROM scratch\nADD %s /o/\n' "$1" > context/Dockerfile
  fails "$WYTHE" build -o type=local,dest=no context 2> said
  grep -q "$2" said
}
refused out.tar '\.\./evil: path leads out'
refused cut.tar 'cut.tar: .*header at byte 0, unexpected end'
refused damaged.tar 'damaged.tar: .*header at byte 0, header checksum mismatch'

# What is too much is declared, and can be changed.
printf 'FROM scratch\nADD several.tar /o/\n' > context/Dockerfile
tar -C context -cf context/several.tar t
build() { "$WYTHE" "$@" build --no-cache -o type=local,dest=no context 2> said; }
fails build --limit entries=3
grep -q 'several.tar: .*more than 3 entries: .*--limit entries=NUMBER' said
WYTHE_LIMITS=unpacked=1,entries=9 fails build
grep -q 'more than 1 bytes' said
WYTHE_LIMITS=entries=1 build --limit entries=4

# Each of several sees what those before it have made.
mkdir -p several/d
tar -C context/t/lib -cf several/d/a sub
echo g > several/d/g.md
for flag in --link --link=false; do
  printf 'FROM scratch\nADD %s d/* /d\n' "$flag" > several/Dockerfile
  "$WYTHE" build -o type=local,dest="several$flag" several
  [ "$(cat "several$flag/d/sub/x")" = x ]
  [ "$(cat "several$flag/d/g.md")" = g ]
done
