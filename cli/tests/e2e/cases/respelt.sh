# A Dockerfile that says the same in other words runs no step and gives the same image.
mkdir context
echo words > context/words
cat > context/Dockerfile <<'X'
FROM base AS tools
RUN mkdir /t && cat /proc/sys/kernel/random/uuid > /t/stamp
FROM base AS notes
COPY --chown=1:2 --chmod=640 words /notes/
FROM base
ARG V=1
ENV A=a B="b c"
COPY --from=tools /t /t
COPY --from=notes --exclude=*.md /notes /notes
COPY <<EOF /said
$A
EOF
RUN --mount=type=cache,target=/c --network=none echo "$V  $A" > /made && cat /t/stamp
EXPOSE 80 443
CMD ["cat", "/made"]
X
cat > context/respelt <<'X'
# escape=`
# said before, in another order
from base as NOTES
copy --chmod="640"  --chown='1:2' `
  # in between
  ["words", "/notes/"]

FROM base AS unused
RUN false

FROM base AS tools
RUN ["/bin/sh", "-c", "mkdir /t && cat /proc/sys/kernel/random/uuid > /t/stamp"]

FROM ba`
se
  ARG   V='1'
ENV A='a'   `
# a comment
B=b` c
COPY --from=TOOLS /t /t
COPY --exclude=*.md --from=0 ["/notes", "/notes"]
COPY <<-EOF /said
	$A
	EOF
RUN --network=none --mount="target=/c,type=cache" echo "$V ` 
 $A" > /made && cat /t/stamp
EXPOSE 443/tcp   80
CMD [ "cat" , "/made" ]
X
build() {
  "$WYTHE" build --progress plain --build-arg SOURCE_DATE_EPOCH=1700000000 --iidfile "$1.id" \
    --build-context base=oci-layout://"$BASE" -f "context/$1" context 2> "$1.log"
}
build Dockerfile
build respelt || { cat respelt.log; exit 1; }
if grep DONE respelt.log; then exit 1; fi
cmp Dockerfile.id respelt.id
