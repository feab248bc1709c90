# Every command and every example of the pages does what the page says.
[ -n "$REGISTRY" ] || skip "needs docker-registry"
pages=$CASES/../docs
[ -e "$pages" ] || pages=$CASES/../../../../docs
python3 "$CASES/../pages.py" "$pages"
