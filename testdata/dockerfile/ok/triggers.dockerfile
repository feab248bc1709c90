FROM scratch
ONBUILD RUN <<-E
	echo a
		b
	E
ONBUILD copy  --from=x  a  b
ONBUILD NOSUCH thing
