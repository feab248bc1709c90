# syntax=docker/dockerfile:1
FROM rust:1.90-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id={{name}}-target \
    cargo build --release{{locked}} && cp target/release/{{name}} /usr/local/bin/

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/{{name}} /usr/local/bin/
USER nonroot
ENTRYPOINT ["/usr/local/bin/{{name}}"]
