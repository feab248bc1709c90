# A stage may start from the files of a named context: they are part of the image, and what they
# were in an earlier build does not matter.
mkdir context first second
echo one > first/file
echo two > second/file
echo hidden > second/hidden
echo hidden > second/.dockerignore
printf 'FROM files\nLABEL a=b\n' > context/Dockerfile

"$WYTHE" build --build-context files=first -o type=local,dest=out1 context
[ "$(cat out1/file)" = one ]
"$WYTHE" build --build-context files=second -o type=local,dest=out2 context
[ "$(cat out2/file)" = two ]
[ ! -e out2/hidden ]
"$WYTHE" build --build-context files=second -t started context
"$WYTHE" save -o saved.tar started
mkdir saved
tar -xf saved.tar -C saved
grep -q '"FROM files' saved/blobs/sha256/*
