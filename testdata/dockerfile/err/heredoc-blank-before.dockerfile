FROM scratch
COPY <<EOF /o
x
  EOF
