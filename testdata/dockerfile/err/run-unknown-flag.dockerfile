FROM scratch
RUN --nework=none true
