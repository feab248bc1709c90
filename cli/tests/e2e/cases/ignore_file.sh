# What an ignore file and --exclude leave out stays out, whatever is taken back around it.
mkdir -p context/src/lib context/src/node_modules/m context/d/e/n
touch context/src/.env context/src/lib/a context/src/node_modules/m/x context/d/e/n/x context/d/e/y
printf '**/.env\n**/node_modules\n!src\n' > context/.dockerignore
cat > context/Dockerfile <<'D'
FROM scratch
COPY src /src
COPY --exclude=**/n --exclude=!e d /p/
D
"$WYTHE" build -o type=tar,dest=files.tar context
[ "$(tar -tf files.tar | grep -v '/$' | sort | xargs)" = "p/e/y src/lib/a" ]
"$WYTHE" build --call=context context > listed
[ "$(grep -c -e '\.env' -e node_modules listed)" = 0 ]

# Another ignore file is another context, though no file has changed.
printf 'src\n!src/node_modules/m\n' > context/.dockerignore
"$WYTHE" build -o type=tar,dest=files.tar context
[ "$(tar -tf files.tar | grep -v '/$' | sort | xargs)" = "p/e/y src/node_modules/m/x" ]
"$WYTHE" build -o type=tar,dest=files.tar --build-context named=context -f - context <<'D'
FROM scratch
COPY --from=named / /
D
[ "$(tar -tf files.tar | grep '^src/.*[^/]$')" = src/node_modules/m/x ]
