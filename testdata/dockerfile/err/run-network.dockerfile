FROM scratch
RUN --network=hots true
