# What hostile bases and Dockerfiles try has no effect outside of their step.
mkdir context
build() { "$WYTHE" --progress=plain build --no-cache --build-context base=oci-layout://"$BASE" "$@" context > log 2>&1; }
step() { printf 'FROM base\n%b\n' "$1" > context/Dockerfile; shift; build "$@"; }
program=$(sha256sum < "$WYTHE")

# A shell that is the builder's own program, as a link and as an interpreter: nobody can write to that.
fails step 'SHELL ["/proc/self/exe"]\nRUN true'
fails step 'RUN printf "#!/proc/self/exe\\n" > /sh && chmod 755 /sh\nSHELL ["/sh"]\nRUN true' --timeout 20s
step 'RUN for n in 1 2 3 4 5; do for p in /proc/[0-9]*; do (echo x > $p/exe) 2> /dev/null; done; done; true'
[ "$program" = "$(sha256sum < "$WYTHE")" ]

# A working directory that is somebody else's open file.
for number in 3 7 12 39; do
  fails step "WORKDIR /proc/self/fd/$number\nRUN true"
done
fails step 'RUN ln -s /proc/self/fd/7 /w\nRUN cd /w'

# Variables of the builder are in no step; secrets are in no layer, no log and no key that is kept.
export CANARY_VARIABLE=sings-in-the-mine
if step 'RUN env' && grep -q sings-in-the-mine log; then exit 1; fi
printf 'whistles-in-the-dark' > secret
step 'RUN --mount=type=secret,id=s cat /run/secrets/s && cp /run/secrets/s /dev/shm/s && [ "$(stat -f -c %T /run/secrets/s)" != tmpfs ]' \
  --secret id=s,src=secret -o type=oci,dest=out,tar=false
if grep -q whistles-in-the-dark log; then exit 1; fi
if grep -raq whistles-in-the-dark out "$WYTHE_STORE" 2> /dev/null; then exit 1; fi

# An agent is reached by who is not root.
if command -v ssh-agent > /dev/null; then
  ssh-agent -a "$PWD/agent" sleep 60 > /dev/null &
  agent=$!
  trap 'kill $agent' EXIT
  until [ -S agent ]; do sleep 0.05; done
  step 'USER app\nRUN --mount=type=ssh,uid=1000 test -S $SSH_AUTH_SOCK && test -w $SSH_AUTH_SOCK && test "$(stat -c %u $SSH_AUTH_SOCK)" = 1000' --ssh default="$PWD/agent"
fi

# What is masked stays masked where a base has put links in the way, and files of ours land in the step.
pattern=$(cat /proc/sys/kernel/core_pattern)
mkdir -p context/etc
ln -s ../../../../proc/sys/kernel/core_pattern context/etc/hosts
step 'COPY etc /etc\nRUN true' || grep -q 'ERROR' log
step 'COPY etc /etc\nRUN ! (echo x > /proc/sys/kernel/core_pattern) && ! (echo x > /etc/hosts)' || grep -q 'ERROR' log
step 'RUN mkdir -p /x && ln -s / /x/root\nRUN --mount=type=tmpfs,target=/x/root/../../y [ -d /y ]'
[ "$(cat /proc/sys/kernel/core_pattern)" = "$pattern" ]
rm -r context/etc

# Calls that are for builders.
step 'RUN ! unshare -U true && ! mount -t tmpfs none /tmp'

# Steps that copy up what is below them are stopped in the middle of it, and nothing is left.
printf 'FROM base\nRUN mkdir /many && for n in $(seq 400); do head -c 100000 /dev/zero > /many/$n; done\nRUN chmod -R a+x /many && sleep 60\n' > context/Dockerfile
"$WYTHE" --progress=plain build --build-context base=oci-layout://"$BASE" context > log 2>&1 &
builder=$!
until grep -q 'chmod' log; do sleep 0.02; done
sleep 0.1
kill -INT $builder
status=0
wait $builder || status=$?
[ "$status" = 130 ]
if grep -l "$PWD" /proc/[0-9]*/mountinfo 2> /dev/null; then exit 1; fi
