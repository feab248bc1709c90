# Devices that a step makes are devices in the image, however they came where they are: made, copied,
# packed and unpacked, moved, given away, in one step or in several.
mkdir -p context
cat > context/make <<'S'
#!/bin/sh -e
echo begin
mkdir -p /r/dev
cp -a /dev/null /r/dev/ && mknod -m 600 /r/dev/disk b 259 300 && mknod /r/dev/tty c 5 0
chown 0:5 /r/dev/tty && chmod 620 /r/dev/tty
cp -a /r /copied
S
chmod +x context/make
cat > context/Dockerfile <<'D'
FROM base AS made
COPY make /make
RUN /make
RUN tar -C /r -cf /tar . && mkdir /unpacked && tar -C /unpacked -xf /tar && chown 7:8 /unpacked/dev/disk && mv /copied /moved
RUN [ "$(stat -c '%F %t:%T %u:%g %a' /unpacked/dev/disk)" = 'block special file 103:12c 7:8 600' ] && chmod 640 /r/dev/disk
FROM scratch
COPY --from=made /r /r
COPY --from=made /moved /moved
COPY --from=made /unpacked /unpacked
D
base="--build-context base=oci-layout://$BASE"
"$WYTHE" build --progress plain -o type=tar,dest=out.tar $base context 2> log
tar -tv --numeric-owner -f out.tar | awk '/^[bc]/ {print $1, $2, $3, $6}' | sort > found
cat > wanted <<'W'
brw------- 0/0 259,300 moved/dev/disk
brw------- 7/8 259,300 unpacked/dev/disk
brw-r----- 0/0 259,300 r/dev/disk
crw--w---- 0/5 5,0 moved/dev/tty
crw--w---- 0/5 5,0 r/dev/tty
crw--w---- 0/5 5,0 unpacked/dev/tty
crw-rw-rw- 0/0 1,3 moved/dev/null
crw-rw-rw- 0/0 1,3 r/dev/null
crw-rw-rw- 0/0 1,3 unpacked/dev/null
W
sort wanted | diff - found
# The script did not say that it makes devices: it began again, and said so.
[ "$(grep -c ' begin$' log)" = 2 ]
grep -q 'this step makes a device, and begins again' log

# One that says so begins once; what packs them in a layer of a store that knows only the image too.
cat > context/Dockerfile <<'D'
FROM base
RUN echo begin && mkdir /r && mknod /r/null c 1 3
D
"$WYTHE" build --progress plain -t devices $base context 2> log
[ "$(grep -c ' begin$' log)" = 1 ]
"$WYTHE" save devices > devices.tar
"$WYTHE" --store "$PWD/other" load -i devices.tar
cat > context/Dockerfile <<'D'
FROM devices
RUN tar -C / -cf /tar r && tar -tvf /tar | grep '^crw.* r/null'
D
"$WYTHE" --store "$PWD/other" build -q -t again context
