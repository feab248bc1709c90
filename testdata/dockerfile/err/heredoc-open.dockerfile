FROM scratch
RUN <<EOF
echo 1
