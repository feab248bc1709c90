# A store on a disk that is full: builds say so, lose nothing, and work again when there is room. A cache in a directory on a
# disk that is full: builds are done, and say that it was not written.
# Run as root, who mounts: full_disk.sh WYTHE USER DIRECTORY
set -u
wythe=$1 user=$2
work=$(mktemp -d "$3/full-disk.XXXXXX")
disk=$work/disk
. "$(dirname "$0")/check.sh"
trap 'umount "$disk" 2> /dev/null; rm -rf "$work"; echo "$passed passed, $failed failed"; [ "$failed" = 0 ]' EXIT

as_user() { runuser -u "$user" -- env HOME="$work" TMPDIR="$work" "$@"; }
store() { as_user "$wythe" --store "$disk/store" "$@"; }

# codes "CODE…" COMMAND…: the command ends with one of these codes.
codes() {
  local wanted=$1 code=0
  shift
  "$@" || code=$?
  case " $wanted " in *" $code "*) ;; *) echo "exit code $code, not $wanted"; return 1 ;; esac
}

# A disk of so many bytes and inodes.
disk() {
  umount "$disk" 2> /dev/null
  mkdir -p "$disk" && mount -t tmpfs -o "size=$1,nr_inodes=$2,mode=700,uid=$(id -u "$user")" none "$disk"
}

fill() { as_user dd if=/dev/zero of="$disk/filler" bs=4096 status=none 2> /dev/null; true; }
fill_inodes() { as_user sh -c 'i=0; while : 2> /dev/null > "$1/inode.$i"; do i=$((i + 1)); done' sh "$disk" 2> /dev/null; true; }

context() {
  mkdir -p "$work/$1"
  head -c "$2" /dev/urandom > "$work/$1/file"
  printf 'FROM scratch\nCOPY file /file\n' > "$work/$1/Dockerfile"
}

whole() { store verify && store save kept -o "$disk/kept.tar"; }

chown "$user" "$work"
context small 100000
context large 30000000

disk 16m 1000
check 'a small build fits' store build -q -t kept "$work/small"
check 'a build that does not fit says that there is no space' codes 5 store build -q -t large "$work/large"
check 'the image before is whole' whole
as_user rm -f "$disk/kept.tar"
fill
check 'a build on a disk without a free byte says so' codes 5 store build -q -t other --no-cache "$work/large"
check 'a disk without a free byte can be pruned' codes 0 store prune
as_user rm -f "$disk/filler"
check 'the store verifies' store verify
fill_inodes
check 'a build on a disk without a free inode says so' codes 5 store build -q -t other --no-cache "$work/large"
check 'a disk without a free inode can be pruned' codes 0 store prune
as_user sh -c 'rm -f "$1"/inode.*' sh "$disk"
check 'the image before is whole still' whole
as_user rm -f "$disk/kept.tar"
check 'a build works when there is room' store build -q -t again --no-cache "$work/small"

# Wherever a disk gets full, a build is done or says that it is full.
for size in $(seq 64 64 1024); do
  disk "${size}k" 1000
  check "a disk of $size KiB" codes '0 5' store build -q -t first "$work/small"
  mount -o remount,size=8m "$disk"
  check "a disk of $size KiB that has grown" store build -q -t second "$work/small"
  check "a disk of $size KiB verifies" store verify
done

# cached STORE CONTEXT: a build of a store elsewhere, with a directory on the disk as cache; what it says is in cached.log.
cached() {
  as_user "$wythe" --store "$work/$1" --progress plain build -o type=cacheonly --cache-from "type=local,src=$disk/cache" \
    --cache-to "type=local,dest=$disk/cache,mode=max" "$work/$2" 2> "$work/cached.log" || { cat "$work/cached.log"; return 1; }
}
says() { grep -q "$1" "$work/cached.log" || { cat "$work/cached.log"; return 1; }; }
whole_cache() { cached "$1" small && says '0 ran, 1 in local'; }

disk 4m 1000
check 'a cache in a directory fits' cached maker small
check 'a build whose layer does not fit into its cache is done' cached second large
check 'it says that the cache was not written' says 'the cache was not written'
fill
check 'a build with a cache on a disk without a free byte is done' cached third large
check 'it says so as well' says 'the cache was not written'
check 'what was in the cache before is found' whole_cache fourth
as_user rm -f "$disk/filler"
fill_inodes
check 'a build with a cache on a disk without a free inode is done' cached fifth large
check 'what was in the cache is found still' whole_cache sixth
as_user sh -c 'rm -f "$1"/inode.*' sh "$disk"
mount -o remount,size=64m "$disk"
check 'the cache is written when there is room' cached seventh large
check 'what was written then is found' cached eighth large
check 'no step ran for it' says '0 ran, 1 in local'
