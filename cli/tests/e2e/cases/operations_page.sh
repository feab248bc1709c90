# Every command of docs/operations.md does what the page says.
page=$CASES/../operations.md
[ -e "$page" ] || page=$CASES/../../../../docs/operations.md
export WYTHE_STORE="$PWD/store"
export XDG_CONFIG_HOME="$PWD/config"
mkdir bin context
ln -s "$WYTHE" bin/wythe
export WYTHE="$PWD/bin/wythe"
printf 'FROM base\nRUN echo 1 > /f && chown 5:5 /f\n' > context/Dockerfile
for name in app:1 app:2; do "$WYTHE" build -t "$name" --build-context base=oci-layout://"$BASE" context; done
python3 "$CASES/../operations_page.py" "$page"
