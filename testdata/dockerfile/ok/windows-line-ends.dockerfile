FROM scratch
ENV A=1 \
  B=2
COPY <<EOF /f
body
EOF
