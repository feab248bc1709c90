# A check that finds something says so in its exit code, as that of buildx does.
mkdir context
ask() { status=0; "$WYTHE" build --check context > answer 2> /dev/null || status=$?; }
printf 'FROM scratch\nCOPY Dockerfile /\n' > context/Dockerfile
ask
[ "$status" = 0 ]
printf 'FROM scratch\nMAINTAINER x\n' > context/Dockerfile
ask
[ "$status" = 1 ]
grep -q MaintainerDeprecated answer
printf 'FROM\n' > context/Dockerfile
ask
[ "$status" = 2 ]
# Who reads JSON gets JSON, as from buildx.
"$WYTHE" build --call check,format=json context > answer 2> /dev/null && exit 1
grep -q '"buildError":{"location":{"ranges":\[{"end":{"line":1},"start":{"line":1}}\]},"message":"' answer
