# How the end-to-end scripts count claims. Who sources this has set $work to a directory of its own, and ends
# with "N passed, N failed".
passed=0
failed=0

# Names a claim and runs the command that shows it.
check() {
  local claim=$1
  shift
  if "$@" > "$work/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $claim"
  else
    failed=$((failed + 1))
    echo "FAIL  $claim"
    sed 's/^/      /' "$work/check.log" | tail -${SHOWN:-40}
  fi
}
