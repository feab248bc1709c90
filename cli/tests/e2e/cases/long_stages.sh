# A stage of so many layers that the lowest stay mounted for all steps makes what it makes where all files are
# copied: the digests are equal. What is made, changed and removed lies below the mount's top, and above it.
mkdir context
{
  echo 'FROM base'
  for n in $(seq 0 12); do
    next=$((n + 1))
    echo "RUN mkdir -p /d/$n/deep /kept && echo $n > /d/$n/f && cp /d/$n/f /d/$n/deep/moved && echo $n > /last"
    echo "RUN echo more >> /last && chmod 600 /d/$n/f && touch /d/$n/gone /kept/$n"
    echo "RUN rm /d/$n/gone && mv /d/$n/deep/moved /kept/moved$n"
    echo "RUN test ! -e /d/$n/gone && rm -r /d/$n/deep && mkdir /d/$n/deep && echo $n > /d/$n/deep/new"
    echo "RUN ls -R /d /kept > /list && cat /d/*/f /d/*/deep/new /last > /all && test ! -e /d/$n/deep/moved"
    echo "RUN test $n -lt 2 || { rm -r /d/$((n - 2)) /kept/$((n - 2)) && chmod 750 /d && mkdir /d/$((n - 2)); }"
    echo "RUN chown 5:6 /kept && echo $next > /d/$n/f && ln -sf /d/$n/f /latest"
    echo "RUN grep -q $next /latest && rm -f /kept/moved$((n - 3))"
  done
} > context/Dockerfile
built() {
  "$WYTHE" --store "$1" build --snapshotter="$1" --progress=plain --build-context base=oci-layout://"$BASE" \
    --build-arg SOURCE_DATE_EPOCH=1700000000 -o type=oci,dest="$1-out",tar=false,rewrite-timestamp=true \
    context 2> "$1.log"
  grep -o 'sha256:[0-9a-f]*' "$1-out/index.json" | head -n 1
}
expected=$(built overlayfs)
found=$(built native)
[ "$expected" = "$found" ]
