# Zeros cost nothing: neither in the store nor where a layer is unpacked, and they leave as zeros.
store="--store $PWD/store"
mkdir context
truncate -s 256M context/hole
printf end >> context/hole
# A file system without holes has none to keep.
[ "$(du -k context/hole | cut -f1)" -lt 1024 ] || skip 'the file system of the test keeps no holes'
cat > context/Dockerfile <<'D'
FROM base
RUN truncate -s 256M /var.log && printf a >> /var.log
COPY hole /hole
RUN [ "$(stat -c %s /hole)" = 268435459 ] && [ "$(tail -c 3 /hole)" = end ] && [ "$(du -k /hole | cut -f1)" -lt 1024 ]
RUN mv /hole /hole2 && printf b >> /var.log
D
base="--build-context base=oci-layout://$BASE"
"$WYTHE" $store build -q -t sparse context $base
used() {
  "$WYTHE" $store du
  [ "$(du -sk store 2>/dev/null | cut -f1)" -lt 40000 ]
}
used
# What leaves is small, and unpacks to all the zeros.
"$WYTHE" $store save sparse > saved.tar
[ "$(stat -c %s saved.tar)" -lt 8000000 ]
mkdir saved && tar -xf saved.tar -C saved
layers=$(grep -o '"Layers":\[[^]]*\]' saved/manifest.json | grep -o 'blobs/sha256/[0-9a-f]*')
hole=$(echo "$layers" | sed -n 3p)
gunzip < "saved/$hole" | sha256sum | cut -d' ' -f1 > digest
grep -q "$(cat digest)" saved/blobs/sha256/*
gunzip < "saved/$hole" | tar -xO hole | cmp - context/hole
[ "$("$WYTHE" $store run sparse sh -c 'stat -c %s /hole2 && tail -c 2 /var.log' | tr '\n' ' ')" = '268435459 ab' ]
used

# A layer that was pulled has its holes again.
"$WYTHE" --store pulled load -i saved.tar
[ "$("$WYTHE" --store pulled run sparse sh -c 'du -k /hole2' | cut -f1)" -lt 1024 ]
[ "$(du -sk pulled 2>/dev/null | cut -f1)" -lt 40000 ]
