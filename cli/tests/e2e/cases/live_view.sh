# What a terminal shows of a build and of the layers of an image, in windows that change their size, without colours,
# without Unicode, and without a screen; the terminal is as before however the explorer ends.
command -v python3 > /dev/null || skip "python3 is not installed"
mkdir context
cat > context/Dockerfile <<'END'
FROM base AS ends
RUN head -c 300000 /dev/urandom > /big; echo x > /kept
RUN rm /big; echo y > /kept
FROM base AS stays
RUN echo one > /one
RUN echo waiting größe; exec sleep 1000 && : a command whose name has no room in any window
END
"$WYTHE" build -t explored:1 --target ends --build-context base=oci-layout://"$BASE" context
python3 "$CASES/../live_view.py" "$WYTHE" context "$BASE"

# What is listed, and the bounds.
"$WYTHE" explore --format json explored:1 > layers.json
python3 - <<'END'
import json
found = json.load(open('layers.json'))
assert [waste['path'] for waste in found['waste']] == ['/big', '/kept'], found['waste']
assert found['waste'][0] == {'path': '/big', 'bytes': 300000, 'layers': [2]}, found
assert found['wasted'] == 300002 == found['layers'][1]['wasted'], found
assert abs(found['efficiency'] - (1 - found['wasted'] / found['bytes'])) < 1e-9
END
"$WYTHE" explore explored:1 | grep -q '^300kB *2 */big$'
"$WYTHE" explore --lowest-efficiency 0.01 --highest-wasted-bytes 1m explored:1 > /dev/null
for bound in '--lowest-efficiency 99.9%' '--highest-wasted-bytes 1k' '--highestUserWastedPercent 0.1'; do
  status=0
  # shellcheck disable=SC2086
  "$WYTHE" explore $bound explored:1 > /dev/null 2> told || status=$?
  [ "$status" = 2 ] && grep -q '^error: explored:1 wastes too much: ' told
done
