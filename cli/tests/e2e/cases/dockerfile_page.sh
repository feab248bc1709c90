# Every example of docs/dockerfile.md does what the page says.
page=$CASES/../dockerfile.md
[ -e "$page" ] || page=$CASES/../../../../docs/dockerfile.md
python3 "$CASES/../dockerfile_page.py" "$page"
