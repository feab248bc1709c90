FROM scratch
COPY --from= f /o/
