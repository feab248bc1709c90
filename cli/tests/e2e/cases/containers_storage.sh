# podman and buildah get images of the store, and of them what they lack.
command -v buildah > /dev/null || skip 'buildah is not here'
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$PWD/images" "$PWD/run" > storage.conf
# Podman without root has its images below its home, and once they are there it has them nowhere else.
export HOME="$PWD/home" CONTAINERS_STORAGE_CONF="$PWD/storage.conf" STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
mkdir context home
printf 'FROM base\nRUN echo one > /one\n' > context/Dockerfile
base="--build-context base=oci-layout://$BASE"
# shellcheck disable=SC2086
"$WYTHE" build -q $base -t storage/app:1 context
"$WYTHE" copy storage/app:1 containers-storage: > id 2> log
cat log
grep -q 'that it lacked' log
[ "sha256:$(buildah images -q --no-trunc storage/app:1 | sed 's/^sha256://')" = "$(cat id)" ]
# What is there gets its name.
"$WYTHE" copy storage/app:1 containers-storage:storage/other:2 > again 2> log
cmp id again
[ ! -s log ]
buildah images storage/other:2 > /dev/null
# No name of ours stays.
[ "$(buildah images -n | grep -c 127.0.0.1)" = 0 ]
fails "$WYTHE" copy containers-storage:storage/app:1 back
# Podman keeps a process for its namespace.
if command -v podman > /dev/null; then podman system migrate > /dev/null; fi
rm -rf home images run || buildah unshare rm -rf home images run
