FROM scratch
COPY --link=yes f /x
