FROM scratch
COPY <<A <<-"B c" f /o/
$a
A
		x
	  y
	B c
RUN cat 3<< EOF <&3 > /o && \
 echo x
# body \
EOF
RUN <<EOF
EOF
RUN cat <<<word
ENV A=<<EOF
ONBUILD COPY <<E /x
body
E
