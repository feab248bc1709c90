# The root directory of a base image is in steps as the image has it, and in a step's layer only
# where the step has changed it.
mkdir context
printf 'FROM base\n' > context/base
"$WYTHE" build -q -f context/base -o type=tar,dest=flat.tar --build-context base=oci-layout://"$BASE" context
mkdir root
tar -xf flat.tar -C root
echo 1 > more
tar --owner=0 --group=0 -cf more.tar more
case $(uname -m) in aarch64) machine=arm64 ;; *) machine=amd64 ;; esac

# image NAME MODE OWNER: loads an image whose root has this mode and owner, under a layer without `./`.
image() {
  chmod "00$2" root
  tar --owner="${3%:*}" --group="${3#*:}" --numeric-owner --no-recursion -cf base.tar -C root .
  tar --owner=0 --group=0 -rf base.tar -C root bin etc root tmp
  printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]}}' \
    "$machine" "$(sha256sum < base.tar | cut -d' ' -f1)" "$(sha256sum < more.tar | cut -d' ' -f1)" > config.json
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["base.tar","more.tar"]}]' "$1" > manifest.json
  tar -cf image.tar config.json manifest.json base.tar more.tar
  "$WYTHE" load -i image.tar
}

# layers NAME: lists what the layers of an image say of the root, the lowest first.
layers() {
  rm -rf saved && mkdir saved
  "$WYTHE" save "$1" > saved.tar
  tar -xf saved.tar -C saved
  for blob in $(grep -o '"Layers":\[[^]]*\]' saved/manifest.json | grep -o 'blobs/sha256/[0-9a-f]*\|[0-9a-z/.]*\.tar[.a-z]*'); do
    { zcat "saved/$blob" 2>/dev/null || cat "saved/$blob"; } | tar -tv --numeric-owner | grep ' \./$' | cut -d' ' -f1,2 || true
  done
}

# kept MODE OWNER LISTED: a build over such a base keeps it, wherever it is looked at.
kept() {
  image rooted:1 "$1" "$2"
  look="[ \$(stat -c '%a-%u:%g' /) = $1-$2 ]"
  printf 'FROM rooted:1\nRUN %s && touch /etc/x\nCOPY Dockerfile /d\nWORKDIR /w\nRUN %s && touch /w/y\nRUN --mount=from=rooted:1,target=/m [ "$(stat -c "%%a-%%u:%%g" /m)" = %s ]\n' \
    "$look" "$look" "$1-$2" > context/Dockerfile
  "$WYTHE" build -q -t kept context
  [ "$(layers kept)" = "$3 $(echo "$2" | tr : /)" ]
  "$WYTHE" run kept sh -c "$look"
}
kept 555 0:0 dr-xr-xr-x
kept 1777 5:6 drwxrwxrwt
kept 2711 0:7 drwx--s--x
# One that only its owner may enter can be entered in steps, and stays what it is.
image rooted:1 700 0:7
printf 'FROM rooted:1\nUSER 1000\nRUN cat /etc/passwd\nRUN ! touch /x\n' > context/Dockerfile
"$WYTHE" build -q -t entered context
[ "$(layers entered)" = 'drwx------ 0/7' ]

# What a step makes of it is in its layer, and what the next one makes in the next.
printf 'FROM rooted:1\nRUN chmod 711 / && chown 3:4 /\nRUN [ "$(stat -c "%%a %%u:%%g" /)" = "711 3:4" ] && touch /n\nRUN chmod 755 / && chown 0:0 /\nRUN touch /etc/x\n' \
  > context/Dockerfile
"$WYTHE" build -q -t changed context
[ "$(layers changed | tr '\n' ' ')" = 'drwx------ 0/7 drwx--x--x 3/4 drwxr-xr-x 0/0 ' ]
[ "$("$WYTHE" run changed stat -c '%a %u:%g' /)" = '755 0:0' ]

# From nothing it is 755 of root and in no layer.
printf 'FROM base AS b\nFROM scratch\nCOPY --from=b /bin /bin\nRUN ["/bin/busybox", "touch", "/x"]\n' > context/Dockerfile
"$WYTHE" build -q -t scratched context --build-context base=oci-layout://"$BASE"
[ -z "$(layers scratched)" ]
[ "$("$WYTHE" run scratched stat -c '%a %u:%g' /)" = '755 0:0' ]

# Directories of steps are what their layers are, whether or not what is below them is known.
"$WYTHE" verify --live > verified 2>&1 || { cat verified; exit 1; }
