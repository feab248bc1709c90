FROM scratch
COPY --form=a f /
