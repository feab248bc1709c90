# What a step may have of the machine: who keeps it is told, and what came of it.
mkdir context
build() {
  printf 'FROM base\n%s\n' "$1" > context/Dockerfile
  shift
  "$WYTHE" --progress=plain build --no-cache --build-context base=oci-layout://"$BASE" "$@" context > log 2>&1
}
# Time. A step that handles the signal is asked first.
fails build 'RUN echo begun && sleep 100' --timeout 1s
grep -q 'out of time' log
grep -q -- 'help: .*--timeout' log
build 'RUN true' --timeout 1h

# Processors: as many as half of one is rounded up to, where no control group can have it exactly.
[ "$(nproc)" = 1 ] || build 'RUN echo "there are $(nproc)"' --cpus 0.5
[ "$(nproc)" = 1 ] || grep -q -e 'there are 1' -e 'kept by control groups' log

# Memory: by a control group the step is killed, else no process gets so much.
fails build "RUN awk 'BEGIN { s = \"x\"; while (1) s = s s }'" --memory 64m
grep -q -e 'out of memory: killed by the kernel at its limit of 67108864 bytes' \
  -e 'each process of the step could have 67108864 bytes of memory of its own' log
build "RUN awk 'BEGIN { s = \"x\"; while (length(s) < 1000000) s = s s }'" --memory 64m
grep -q 'limits of steps are kept' log

# Processes.
fails build 'RUN for n in $(seq 300); do sleep 20 & done; wait' --pids-limit 100 --timeout 15s
grep -q -e 'was refused another one' -e 'could begin no process while 100 ran as its user' log
if grep -q 'out of time' log; then exit 1; fi

# A command is limited in the same way, and says as much.
build 'RUN true' -t limited
run() { "$WYTHE" run "$@" 2> log; }
fails run --timeout 1s limited sleep 100
grep -q 'the command was out of time' log
fails run --memory 64m limited awk 'BEGIN { s = "x"; while (1) s = s s }'
grep -q -e 'out of memory: killed by the kernel at its limit of 67108864 bytes' \
  -e 'each process of the step could have 67108864 bytes of memory of its own' log
[ "$(nproc)" = 1 ] || [ "$(run --cpus 0.5 limited nproc)" = 1 ] || grep -q 'kept by control groups' log
fails run --pids-limit 100 --timeout 15s limited sh -c 'for n in $(seq 300); do sleep 20 & done; wait'
grep -q -e 'was refused another one' -e 'could begin no process while 100 ran as its user' log
"$WYTHE" rmi limited
# Who keeps them is what doctor says.
"$WYTHE" doctor > doctor || [ $? = 4 ]
grep -q 'limits of steps by control groups' doctor

# A limit is no part of what a step is: its result is found again without it.
printf 'FROM base\nRUN date +%%N > /chance\n' > context/Dockerfile
"$WYTHE" build --build-context base=oci-layout://"$BASE" --memory 1g --timeout 1h context > limited
"$WYTHE" build --build-context base=oci-layout://"$BASE" context > unlimited
cmp limited unlimited
