FROM scratch
COPY --chown f /o/
