# Every command and every example of the pages does what the page says.
[ -n "$REGISTRY" ] || skip "needs docker-registry"
top=$CASES/..
[ -e "$top/docs" ] || top=$CASES/../../../..
python3 "$CASES/../pages.py" "$top/README.md" "$top/docs"
