FROM scratch
RUN --mount=type=cache,target=/c --mount="type=tmpfs,target=/a b" --network=none --security=insecure --device=v/c=d -- make --mount=x
