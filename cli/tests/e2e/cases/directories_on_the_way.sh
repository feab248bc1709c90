# A directory that a layer only leads through is as lower layers have it, in steps and in layers.
mkdir context
echo file > context/file
cat > context/Dockerfile <<'D'
FROM base
RUN mkdir -p /home/app && chmod 700 /home/app && chown 7:8 /home/app && touch -d @1500000000 /home/app
COPY file /home/app/file
WORKDIR /home/app/below
RUN [ "$(stat -c '%a %u:%g %Y' /home/app)" = '700 7:8 1500000000' ] && touch /home/app/below/new
D
"$WYTHE" build -q -o type=tar,dest=root.tar --build-context base=oci-layout://"$BASE" context
tar -tvf root.tar --numeric-owner | grep -q '^drwx------ 7/8 .* home/app/$'

# The same of an image from elsewhere, with a layer that names a file and no directory.
mkdir -p home/app
echo config > home/app/config
tar -cf upper.tar home/app/config
digest() { sha256sum < "$1" | cut -d' ' -f1; }
case $(uname -m) in aarch64) machine=arm64 ;; *) machine=amd64 ;; esac
printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin:/usr/bin"],"Cmd":["true"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]}}' \
  "$machine" "$(digest root.tar)" "$(digest upper.tar)" > config.json
printf '[{"Config":"config.json","RepoTags":["elsewhere:1"],"Layers":["root.tar","upper.tar"]}]' > manifest.json
tar -cf image.tar manifest.json config.json root.tar upper.tar
"$WYTHE" load -i image.tar
printf 'FROM elsewhere:1\nRUN cat /home/app/config && [ "$(stat -c "%%a %%u:%%g" /home/app)" = "700 7:8" ]\n' > context/Dockerfile
"$WYTHE" build -t after context
[ "$("$WYTHE" run after stat -c '%a %u:%g' /home/app)" = '700 7:8' ]

# A working directory that an earlier step removed comes back as its user's with all that is missing on
# the way; what is there stays as it is, also where a link leads on.
mkdir gone
cat > gone/Dockerfile <<'D'
FROM base
USER app
WORKDIR /w/x/y
USER 0
RUN rm -r /w/x && chown 5:6 /w && chmod 1777 /w && touch -d @1000000000 /w
USER 7:8
RUN [ "$(stat -c '%a %u:%g' /w /w/x /w/x/y | xargs)" = "1777 5:6 755 7:8 755 7:8" ]
RUN [ "$(stat -c '%a %u:%g' /w /w/x /w/x/y | xargs)" = "1777 5:6 755 7:8 755 7:8" ]
USER 0
RUN rm -r /w/x && mkdir -m 711 /q && ln -s /q/r /w/x
USER 9
RUN [ "$(stat -c '%a %u:%g' /w /q /q/r /q/r/y | xargs)" = "1777 5:6 711 0:0 755 9:0 755 9:0" ]
RUN [ "$(pwd -P)" = /q/r/y ] && [ -L /w/x ]
D
umask 077
"$WYTHE" build --build-context base=oci-layout://"$BASE" gone
