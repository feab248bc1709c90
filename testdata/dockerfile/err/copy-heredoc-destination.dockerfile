FROM scratch
COPY f <<EOF
x
EOF
