FROM scratch
RUN <<EOF
echo 1
EOF 
