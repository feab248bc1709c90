# What runs nothing needs no ids but those of the caller: COPY, what lists, sends and tidies.
command -v setpriv > /dev/null || skip "setpriv is not installed"
mkdir context
printf 'FROM scratch\nCOPY --chown=5:6 file /\n' > context/Dockerfile
echo text > context/file
# As in containers that allow no new privileges, so that nobody writes id maps.
barred() { setpriv --no-new-privs "$WYTHE" --store barred "$@"; }
barred build -t copied:1 context
"$WYTHE" --store apart build -t copied:1 context > /dev/null
"$WYTHE" --store apart inspect copied:1 --raw config | grep -o '"diff_ids":[^]]*' > expected
barred inspect copied:1 --raw config | grep -o '"diff_ids":[^]]*' | cmp - expected
barred build -o type=local,dest=out context
[ "$(cat out/file)" = text ]
barred images | grep -q copied
barred save -o saved.tar copied:1
barred du > /dev/null
barred verify > /dev/null
[ -z "$REGISTRY" ] || barred push copied:1 "$REGISTRY/e2e/copied:1"
barred build -t based --build-context base=oci-layout://"$BASE" - > /dev/null <<'X'
FROM base
COPY --from=base /etc/passwd /copy
X
barred prune --all > /dev/null
# Steps have one id there, which is said first, with the reason.
printf 'FROM base\nRUN chown 5:6 /bin && id -u > /who\n' > Dockerfile.steps
barred --progress=plain build --build-context base=oci-layout://"$BASE" -t stepped:1 -f Dockerfile.steps . 2> told
head -n 1 told | grep '^isolation single-id: .*what root can (.*no_new_privs'
barred --progress=json build --no-cache --build-context base=oci-layout://"$BASE" -f Dockerfile.steps . 2> told
grep '"event":"isolated"' told | grep '"isolation":"single-id"' | grep -q no_new_privs
barred run stepped:1 cat /who 2> told | grep -qx 0
grep -q 'isolation single-id' told
printf '{"target": {"default": {"dockerfile": "Dockerfile.steps", "contexts": {"base": "oci-layout://%s"}}}}' "$BASE" > bake.json
barred --progress=plain bake --no-cache -f bake.json 2> told
head -n 1 told | grep '^isolation single-id: '
# Nothing less is taken than is asked for: a step is refused where it stands, with what would help.
status=0
printf 'FROM base\nRUN true\n' | barred build --isolation=userns --build-context base=oci-layout://"$BASE" - 2> refused || status=$?
[ "$status" = 4 ]
grep -q '>>> RUN true' refused
grep -q 'no_new_privs' refused
grep -q '^help: ' refused
if barred run --isolation=userns copied:1 /file 2> refused; then exit 1; fi
grep -q 'no_new_privs' refused
