# `wythe run` hands on standard input, what is printed, and how the command ended.
mkdir context
printf 'FROM base\nUSER app\nRUN echo made > /tmp/made\nCMD ["id", "-un"]\n' > context/Dockerfile
"$WYTHE" build -t runs --build-context base=oci-layout://"$BASE" context
[ "$("$WYTHE" run runs)" = app ]
[ "$(echo hello | "$WYTHE" run runs cat - /tmp/made)" = "$(printf 'hello\nmade')" ]
[ "$("$WYTHE" run runs cat < /dev/null)" = "" ]
status=0
"$WYTHE" run runs sh -c 'exit 7' || status=$?
[ "$status" = 7 ]
