# syntax=docker/dockerfile:1
FROM golang:1.25-bookworm AS build
WORKDIR /src
COPY {{modules}} ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/{{name}} {{package}}

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/{{name}} /usr/local/bin/
USER nonroot
ENTRYPOINT ["/usr/local/bin/{{name}}"]
