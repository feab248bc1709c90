#!/bin/bash
# Builds an image on other kernels: boots each in qemu, with nothing but busybox, the program and a
# base image, and builds there as an unprivileged user. What is made has to have the digest that it
# has on this machine. Kernels are packages of Debian and Ubuntu, fetched as these fetch them.
#
# Usage: kernels.sh [SUITE…]   (default: bookworm; known: bionic (4.18) bullseye jammy (5.15) bookworm trixie)
# STEPS=PROGRAM   the test program of the sandbox, linked statically: what it claims holds there, too
# MIRROR=URL      where the packages come from (default: http://deb.debian.org/debian)
# UBUNTU=URL      where those of Ubuntu come from (default: http://archive.ubuntu.com/ubuntu)
# KEPT=DIR        where packages stay from run to run
. "$(dirname "$0")/lib.sh"
mirror=${MIRROR:-http://deb.debian.org/debian}
ubuntu=${UBUNTU:-http://archive.ubuntu.com/ubuntu}
packages=${KEPT:-$work/packages}
# Without hardware to help, a guest takes a minute or two.
patience=900
[ $# -gt 0 ] || set -- bookworm

# source_of SUITE: where its kernel comes from, as apt has it. Debian has no keys of Ubuntu's; what comes from there runs in
# a guest that has nothing.
source_of() {
  case $1 in
    bionic) echo "deb [trusted=yes] $ubuntu bionic-updates main" ;;
    jammy) echo "deb [trusted=yes] $ubuntu jammy main" ;;
    *) echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" ;;
  esac
}

# names_of SUITE: the packages of its kernel, that of the image first; apt-cache has its options in $apt.
names_of() {
  local name
  case $1 in
    # The kernel of RHEL 8, as near as it comes.
    bionic) echo linux-image-unsigned-4.18.0-25-generic linux-modules-4.18.0-25-generic ;;
    jammy)
      name=$(depends linux-image-virtual)
      echo "$name linux-modules-${name#linux-image-}"
      ;;
    *) depends linux-image-cloud-amd64 ;;
  esac
}

depends() { apt-cache "${apt[@]}" depends "$1" | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1; }

# fetch SUITE: the packages of its kernel, in $packages/SUITE/kernel.
fetch() {
  local state=$packages/$1
  [ -e "$state/kernel" ] && return
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/fetched"
  source_of "$1" > "$state/sources.list"
  : > "$state/status"
  local apt=(-q -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::State::lists=$state/lists"
    -o "Dir::Cache=$state/cache" -o APT::Architecture=amd64 -o APT::Architectures=amd64
    -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=)
  apt-get "${apt[@]}" update > "$state/log" 2>&1 || { cat "$state/log"; return 1; }
  (cd "$state/fetched" && apt-get "${apt[@]}" download $(names_of "$1") >> ../log 2>&1 && mv "$state/fetched" "$state/kernel") ||
    { cat "$state/log"; return 1; }
}

# system SUITE: $work/SUITE/kernel and the modules that the guest needs, in the order to load them.
system() {
  local at=$work/$1 tree=$work/$1/tree version path package
  mkdir -p "$at/modules"
  for package in "$packages/$1/kernel"/*.deb; do
    dpkg-deb -x "$package" "$tree" || return
  done
  cp "$tree"/boot/vmlinuz-* "$at/kernel"
  [ -e "$tree/lib/modules" ] || { mkdir -p "$tree/lib" && mv "$tree/usr/lib/modules" "$tree/lib/"; }
  version=$(basename "$tree"/lib/modules/*)
  /usr/sbin/depmod -b "$tree" "$version"
  for path in virtio_pci virtio_blk virtio-rng crc32c_generic ext4 overlay binfmt_misc; do
    # What is built in is no file.
    /usr/sbin/modprobe -d "$tree" -S "$version" --show-depends "$path" 2> /dev/null || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
    cp "$path" "$at/modules/"
    path=$at/modules/$(basename "$path")
    case $path in *.xz) xz -d "$path"; path=${path%.xz} ;; esac
    basename "$path"
  done > "$at/order"
}

# What is built, here and there.
recipe() {
  mkdir -p "$work/context"
  echo 'Hello from an image.' > "$work/context/hello.txt"
  cat > "$work/context/Dockerfile" <<'DOCKERFILE'
FROM base AS build
COPY hello.txt /src/hello.txt
RUN mkdir /out && tr a-z A-Z < /src/hello.txt > /out/hello && chown -R 5:app /out && chmod 4750 /out/hello
RUN rm -r /src /out/.. 2>/dev/null; mkdir /src && echo new > /src/new
RUN --mount=type=cache,target=/c --network=none echo kept > /c/f && ln -s hello /out/link && mkdir /dev/shm/x
RUN --mount=type=bind,from=base,source=/etc,target=/mnt cp /mnt/passwd /out/passwd && mknod /out/pipe p
USER app
RUN id > /tmp/id && ! touch /etc/x
FROM base
COPY --from=build /out /out
COPY --from=build /src /tmp/id /
RUN cat /out/hello
CMD ["cat", "/out/hello"]
DOCKERFILE
}

# libraries PROGRAM ROOT: what it needs of this machine, if it is not linked statically.
libraries() {
  local library
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do
    mkdir -p "$2$(dirname "$library")" && cp -L "$library" "$2$library"
  done
}

# initramfs SUITE: all that the guest has.
initramfs() {
  local at=$work/$1 root=$work/$1/root tool
  mkdir -p "$root"/{bin,dev,proc,sys,etc,disk,modules,usr/bin} && cp /bin/busybox "$root/bin/" &&
    cp "$here/kernels/init" "$root/init" && cp "$here/kernels/build" "$root/bin/build" &&
    cp "$wythe" "$root/bin/wythe" && cp -r "$work/base" "$root/base" && cp -r "$work/context" "$root/context" &&
    cp "$at/order" "$root/modules/order" || return
  [ -z "$(ls "$at/modules")" ] || cp "$at/modules"/* "$root/modules/"
  [ -z "${STEPS:-}" ] || cp "$STEPS" "$root/bin/steps"
  for tool in newuidmap newgidmap; do
    cp "$(command -v $tool)" "$root/usr/bin/$tool" && chmod 4755 "$root/usr/bin/$tool" || return
    libraries "$(command -v $tool)" "$root"
  done
  libraries "$wythe" "$root"
  chmod 755 "$root/init" "$root/bin/build"
  (cd "$root" && find . | busybox cpio -o -H newc -R 0:0 2> /dev/null) | gzip -1 > "$at/initramfs"
}

# boot SUITE: what the guest prints, in $work/SUITE/console.
#
# A guest whose processors wait for those of this machine does not measure its timers: no_timer_check.
boot() {
  local at=$work/$1
  truncate -s 1G "$at/disk" && /usr/sbin/mkfs.ext4 -q -F "$at/disk" || return
  timeout "$patience" qemu-system-x86_64 -accel kvm -accel tcg -m 1536 -smp 2 -nodefaults \
    -display none -no-reboot -serial "file:$at/console" -kernel "$at/kernel" -initrd "$at/initramfs" \
    -drive "file=$at/disk,if=virtio,format=raw,cache=unsafe" -device virtio-rng-pci \
    -append "console=ttyS0 quiet panic=-1 no_timer_check rdinit=/init" > "$at/qemu.log" 2>&1 || { cat "$at/qemu.log"; return 1; }
  # Consoles end lines their own way.
  tr -d '\r' < "$at/console" > "$at/said"
  # What it said in full lies beside its package.
  cp "$at/said" "$packages/$1/said"
}

says() { grep -qx -- "$2" "$work/$1/said" || { tail -n 60 "$work/$1/said"; return 1; }; }

# answers SUITE: what its guest said, as docs/kernels.md has it: the beginning of a row, and that of its cell.
answers() {
  local said=$work/$1/said
  answer() { if grep -q -- "$2" "$said"; then echo "$1|$3"; else echo "$1|$4"; fi; }
  answer 'builds without `RUN`' '^guest: copied 0$' yes no
  answer '`RUN`, as an unprivileged user' '^guest: refused 0$' yes no
  grep -q '^guest: refused 0$' "$said" || return 0
  answer 'the digest of an image' "^guest: digest $digest\$" equal other
  answer '`RUN`, as an unprivileged user' '^  ok  overlay in the store$' yes 'yes, [on copies]'
  answer '`/sys` of a step' '^part  sockets of steps that share a cache: this kernel restricts no mounts' empty 'that of the machine'
  answer 'steps that share a cache mount' '^  ok  sockets of steps that share a cache$' 'side by side' 'one after the other'
  answer 'steps for other architectures' '^  ok  emulators of our own$' yes no
  answer 'abstract sockets of the machine' '^  ok  abstract sockets out of reach$' 'where Landlock is on' no
  answer 'a step out of memory' '^guest: memory 1 told$' 'said, with the limit' 'not said'
}

# told SUITE: whether the page says the same.
told() {
  local page column row cell found wrong=0
  page=$(ls "$here/docs/kernels.md" "$here/../../../docs/kernels.md" 2> /dev/null | head -n 1)
  [ -n "$page" ] || { echo "docs/kernels.md is not here"; return 1; }
  case $1 in bionic) column=3 ;; bullseye) column=4 ;; jammy) column=5 ;; bookworm) column=6 ;; *) column=7 ;; esac
  while IFS='|' read -r row cell; do
    found=$(awk -F' *[|] *' -v row="$row" -v column="$column" 'index($2, row) == 1 { print $column; exit }' "$page" | tr -d '*')
    case $found in "$cell"*) ;; *) echo "$row: the page says \"$found\", the guest \"$cell\""; wrong=1 ;; esac
  done < <(answers "$1")
  return $wrong
}

# The digest that this machine makes.
expected() {
  WYTHE_STORE=$work/store "$here/kernels/build" "$wythe" "$work/base" "$work/context" "$work/here" > "$work/here.log" 2>&1 ||
    { cat "$work/here.log"; return 1; }
  digest=$(cat "$work/here.digest")
}

guest() { fetch "$1" && system "$1" && initramfs "$1" && boot "$1" && says "$1" "guest: done"; }

"$here/base.sh" "$work/base"
recipe
check "an image is built here" expected
# with_steps SUITE: what holds where steps run.
with_steps() {
  check "$1: doctor lets steps run" says "$1" "guest: doctor 0"
  check "$1: an image of steps has the digest that it has here" says "$1" "guest: digest $digest"
  check "$1: a step out of memory in a control group is reported as that" says "$1" "guest: memory 1 told"
  check "$1: a step at its limit of processes is told" says "$1" "guest: processes told"
  check "$1: a step within its limits sees its own control group" says "$1" "guest: limits 0 told told"
  check "$1: a step is limited where this program is alone in its group" says "$1" "guest: alone 0 told told"
  check "$1: no control group is left" says "$1" "guest: groups left 0"
  [ -z "${STEPS:-}" ] ||
    check "$1: the claims of the sandbox hold" says "$1" "guest: claims that fail: 0"
}

# without_steps SUITE: what holds where the kernel is too old for them.
without_steps() {
  check "$1: doctor says that steps cannot run" says "$1" "guest: doctor 4"
  check "$1: doctor says from which kernel on they can" grep -q 'help: use Linux 5.10 or later' "$work/$1/said"
  check "$1: a step is refused where it stands" says "$1" "guest: refused 4"
  check "$1: the line of the step is told" grep -q '>>> RUN' "$work/$1/said"
}

for suite; do
  n=$failed
  check "$suite: its kernel boots" guest "$suite"
  # What was not asked has no answers.
  [ "$failed" = "$n" ] || continue
  check "$suite: an image without steps is built" says "$suite" "guest: copied 0"
  case $suite in bionic) without_steps "$suite" ;; *) with_steps "$suite" ;; esac
  check "$suite: docs/kernels.md says what was found" told "$suite"
done
