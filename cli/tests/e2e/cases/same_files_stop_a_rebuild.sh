# A step that makes the files it made before, times aside, stops the rebuild: what stands on it is not
# run again, and the image is the one of before. BuildKit does so for COPY and for mounts; for what
# follows a RUN in its stage it does not.
mkdir context
echo a > context/a
build() { "$WYTHE" build --progress=plain --build-context base=oci-layout://"$BASE" -t same:1 --iidfile id "$@" context 2> log; }
again() { build "$@" || { cat log; return 1; }; }
# The steps that ran in the last build, by what they said.
told() { grep -o 'RAN [a-z]*' log | sort -u | tr '\n' ' '; }
# The steps that must have run, and no other.
ran() { [ "$(told)" = "$1" ] || { cat log; echo "ran: $(told)"; exit 1; }; }

# Steps that read a file of the context and make the same of it whatever its words are.
echo b > context/b
cat > context/Dockerfile <<'D'
FROM base AS tools
RUN --mount=source=b,target=/b echo R""AN tools && echo tool > /tool && grep -c . /b > /lines
RUN echo R""AN further && cat /tool > /further
FROM base
RUN --mount=source=a,target=/a echo R""AN first && mkdir /d && grep -c . /a > /d/one && ln /d/one /d/two
RUN echo R""AN second && cat /d/one > /second && cat /proc/sys/kernel/random/uuid > /stamp
RUN --mount=from=tools,source=/further,target=/t echo R""AN bound && cat /t > /bound && cat /proc/sys/kernel/random/uuid >> /stamp
D
again
ran "RAN bound RAN first RAN further RAN second RAN tools "
sleep 0.1
echo other words > context/a
again
ran "RAN first "
"$WYTHE" run same:1 cat /stamp > stamp.2
sleep 0.1
echo other words > context/b
again
ran "RAN tools "
# An argument is seen by all steps of its stage, and by none that mounts what they made.
sed -i '1a ARG V' context/Dockerfile
again --build-arg V=2
ran "RAN further RAN tools "
"$WYTHE" run same:1 cat /stamp > stamp.3
cmp stamp.2 stamp.3

# A file elsewhere in the mounted stage changes, and nothing of the path.
sed -i 's|echo R""AN tools|echo other > /other \&\& &|' context/Dockerfile
again --build-arg V=2
ran "RAN further RAN tools "

# Files that do change run what stands on them, and only that.
sed -i 's|echo tool > /tool|echo changed > /tool|' context/Dockerfile
again --build-arg V=2
ran "RAN bound RAN further RAN tools "
"$WYTHE" run same:1 cat /bound | grep -q changed
sed -i 's|grep -c . /a > /d/one|echo other > /d/one|' context/Dockerfile
again --build-arg V=2
ran "RAN bound RAN first RAN second "
"$WYTHE" run same:1 cat /second | grep -q other
# Nor do an owner, a mode or a link go unnoticed.
for change in 's|ln /d/one /d/two|cp /d/one /d/two|' 's|mkdir /d |mkdir -m 700 /d |' 's|cp /d/one /d/two|& \&\& chown 7 /d/two|'; do
  sed -i "$change" context/Dockerfile
  again --build-arg V=2
  ran "RAN bound RAN first RAN second "
done

# The earlier result takes the place of an equal one, so that the image has the layer that it had.
cat > context/Dockerfile <<'D'
FROM base
ARG V
RUN echo R""AN only && echo x > /x
D
layers() { tar -xOf image.tar manifest.json | grep -o '"Layers":[^]]*'; }
again() { build -o type=docker,dest=image.tar "$@" || { cat log; return 1; }; }
again --build-arg V=1
ran "RAN only "
layers > before
sleep 1.1
again --build-arg V=2
ran "RAN only "
layers | cmp before -
# Who wants everything made anew gets it.
again --no-cache --build-arg V=2
ran "RAN only "
layers > fresh
if cmp -s before fresh; then exit 1; fi
"$WYTHE" verify
