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
