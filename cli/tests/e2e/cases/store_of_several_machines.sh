# A store on files of other machines is refused with what to do; on those of a program it may lie.
[ -w /dev/fuse ] || skip "nobody may make a file system of a program here"
mkdir at
try() { unshare -Urm python3 "$CASES/../file_system.py" at "$1" "$WYTHE" --store at/store images; }
for kind in fuse.sshfs fuse.glusterfs; do
  if try "$kind" 2> told; then exit 1; fi
  grep -qF "$kind is a file system that other machines change" told
  grep -q '^help: .*WYTHE_STORE' told
done
# This one can do nothing, but not for that.
try fuse.local 2> told || ! grep -q 'other machines' told
