# A COPY over what a RUN has just made does not wait until that is read, and makes the layer that it makes afterwards: a
# file that is there already is none of it, and one that only looks like it is.
export SOURCE_DATE_EPOCH=1
mkdir context
printf same > context/same
printf told > context/other
chmod 644 context/same context/other
touch -d @1 context/same context/other
printf 'FROM base\nRUN mkdir /d && printf same > /d/same && printf kept > /d/other && chmod 644 /d/same /d/other && for n in $(seq 2000); do echo $n > /d/$n; done && touch -d @1 /d/*\nCOPY same other /d/\nWORKDIR /d/e\nRUN cat /d/same /d/other > /seen\n' > context/Dockerfile
build() {
  "$WYTHE" build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$1,tar=false" context
}
# names LAYOUT N: the names in the layer that has N above it.
names() {
  digest=$(grep -h -o '"layers":.*' "$1"/blobs/sha256/* | grep -o 'sha256:[0-9a-f]*' | tail -n "$2" | head -n 1)
  gzip -dc "$1/blobs/sha256/${digest#sha256:}" | tar -t
}
build first
names first 3 > copied
grep -qx d/other copied
if grep -qx d/same copied; then exit 1; fi
"$WYTHE" build --build-context base=oci-layout://"$BASE" -t seen context > /dev/null
[ "$("$WYTHE" run seen cat /seen)" = sametold ]

# The same over files that were read before.
sed -i 's/^COPY/LABEL a=b\nCOPY/' context/Dockerfile
printf more > context/more
sed -i 's/same other/same other more/' context/Dockerfile
build second
names second 3 > copied
grep -qx d/more copied
grep -qx d/other copied
if grep -qx d/same copied; then exit 1; fi
