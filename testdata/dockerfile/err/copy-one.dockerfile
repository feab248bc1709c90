FROM scratch
COPY f
