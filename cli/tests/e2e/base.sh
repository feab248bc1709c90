#!/bin/sh
# base.sh DIR: makes an OCI layout with one image, busybox with its links, without any builder.
set -eu
out=$1
[ ! -e "$out/index.json" ] || exit 0
busybox=$(command -v busybox)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$root/bin" "$root/etc" "$root/root" "$out/blobs/sha256"
mkdir -m 1777 "$root/tmp"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\napp:x:1001:\n' > "$root/etc/group"

# put FILE: moves a file into the layout, and leaves its digest and size in the variables of these names.
put() {
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  size=$(stat -c %s "$1")
  mv "$1" "$out/blobs/sha256/$digest"
}
architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
tar -C "$root" --sort=name --mtime=@1700000000 --numeric-owner --owner=0 --group=0 -cf "$out/layer" .
put "$out/layer"
layer=$digest layer_size=$size
printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
  "$architecture" "$layer" > "$out/config"
put "$out/config"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
  "$digest" "$size" "$layer" "$layer_size" > "$out/manifest"
put "$out/manifest"
printf '{"imageLayoutVersion":"1.0.0"}' > "$out/oci-layout"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"platform":{"architecture":"%s","os":"linux"}}]}' \
  "$digest" "$size" "$architecture" > "$out/index.json"
