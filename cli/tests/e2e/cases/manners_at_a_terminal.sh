# What a person at a terminal is shown, and what is not thrown at them.
command -v script > /dev/null || skip "script is not installed"
mkdir context
printf 'FROM base\nRUN echo "$X" > /x\n' > context/Dockerfile
"$WYTHE" build -t manners:1 --build-context base=oci-layout://"$BASE" context
# seen TERM WORD…: what a person sees, in the file of that name.
seen() {
  term=$1
  shift
  TERM=$term script -qec "$*" /dev/null < /dev/null > seen
}
refused() {
  status=0
  seen xterm "$@" || status=$?
  [ "$status" = 2 ]
  grep -q 'not for a terminal' seen
  grep -q '^help: ' seen
}
refused "$WYTHE" save manners:1
refused "$WYTHE" build -o - context
refused "$WYTHE" build -o type=docker context
refused "$WYTHE" build -o type=oci,dest=- context
refused "$WYTHE" build -o type=tar,dest=- context
"$WYTHE" save manners:1 | tar -t > /dev/null

again="$WYTHE build --no-cache --build-context base=oci-layout://$BASE context"
seen xterm "$again"
grep -q '^=> ' seen
# CI systems have terminals that nobody looks at.
seen xterm "env CI=true $again"
if grep -q '^=> ' seen; then exit 1; fi
seen xterm "env BUILDKIT_PROGRESS=quiet $again"
if grep -q 'DONE' seen; then exit 1; fi
# Colours are for who wants them.
seen xterm "$WYTHE build --nope" || true
printf '\033' > escape
grep -qFf escape seen
seen xterm "env NO_COLOR=1 $WYTHE build --nope" || true
if grep -qFf escape seen; then exit 1; fi
for term in dumb ''; do
  seen "$term" "$again"
  if grep -q '^=> ' seen; then exit 1; fi
  grep -q '^#2 DONE' seen
done

# A variable by its name alone is the caller's; one that they do not have is none.
printf 'FROM base\nENV A=image B=image\n' > context/Dockerfile
"$WYTHE" build -t manners:env --build-context base=oci-layout://"$BASE" context
A='of the caller' "$WYTHE" run -e A -e B -e C=given -e D manners:env env > variables
grep -qx 'A=of the caller' variables
grep -qx 'C=given' variables
if grep -q '^[BD]=' variables; then exit 1; fi
