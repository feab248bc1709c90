FROM scratch
COPY ["<<EOF","/o"]
body
EOF
