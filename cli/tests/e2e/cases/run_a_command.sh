# `wythe run` hands on standard input, what is printed, and how the command ended.
mkdir context
printf 'FROM base\nUSER app\nRUN echo made > /tmp/made\nCMD ["id", "-un"]\n' > context/Dockerfile
"$WYTHE" build -t runs --build-context base=oci-layout://"$BASE" context
[ "$("$WYTHE" run runs)" = app ]
[ "$(echo hello | "$WYTHE" run runs cat - /tmp/made)" = "$(printf 'hello\nmade')" ]
[ "$("$WYTHE" run runs cat < /dev/null)" = "" ]
[ "$("$WYTHE" run runs sh -c 'echo 1 > /dev/stdout; echo 2 > /proc/self/fd/1')" = "$(printf '1\n2')" ]
status=0
"$WYTHE" run runs sh -c 'exit 7' || status=$?
[ "$status" = 7 ]

# With a terminal, where there is one.
printf 'stty size > /dev/null && echo on a termi""nal > /dev/stdout\nexit 5\n' > shell
status=0
script -qec "'$WYTHE' run -it runs sh" /dev/null < shell > screen || status=$?
grep -q '^on a terminal' screen
[ "$status" = 5 ]
status=0
"$WYTHE" run -t runs true < /dev/null 2> err || status=$?
[ "$status" = 2 ]
grep -q 'needs a terminal' err

# A working directory that is missing is made, and is root's, as with docker.
[ "$("$WYTHE" run -w /made/in/depth runs sh -c 'pwd; stat -c %u:%a . ..')" = "$(printf '/made/in/depth\n0:755\n0:755')" ]
