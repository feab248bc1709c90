# A step whose program became another user by its set-user-ID bit ends with kill -9 of the program,
# too, and so it does where the process that keeps the steps is killed.
command -v pgrep > /dev/null || skip "no pgrep"
# A number of this run: it is how the step is found.
seconds=$((90000 + $$ % 9000))
mkdir context
cat > context/Dockerfile <<X
FROM base
RUN mkdir /suid && cp /bin/busybox /suid/busybox && chmod 4755 /suid/busybox
USER app
ARG N
RUN ["/suid/busybox", "sleep", "$seconds"]
X
for victim in builder keeper; do
  "$WYTHE" build --build-arg N=$victim --build-context base=oci-layout://"$BASE" context 2> err &
  builder=$!
  tries=0
  until pgrep -fx "/suid/busybox sleep $seconds" > pids; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ]
    sleep 0.1
  done
  if [ "$victim" = builder ]; then
    kill -9 "$builder"
  else
    kill -9 "$(cut -d' ' -f1 "/proc/$builder/task/$builder/children")"
  fi
  status=0
  wait "$builder" || status=$?
  echo "$victim: $status"
  sleep 1
  status=0
  pgrep -fx "/suid/busybox sleep $seconds" || status=$?
  [ "$status" = 1 ]
done
grep -q 'exit code: 137\|signal' err
