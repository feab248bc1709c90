# syntax=docker/dockerfile:1
FROM debian:bookworm-slim AS build
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update && \
    apt-get install --yes --no-install-recommends {{compiler}} libc6-dev make
WORKDIR /src
COPY . .
RUN make && cp {{name}} /usr/local/bin/

FROM debian:bookworm-slim
COPY --from=build /usr/local/bin/{{name}} /usr/local/bin/
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/{{name}}"]
