# A multi-stage build on a real Debian base: packages with owners, set-id bits and triggers, a
# compiled program, and a slim final stage with a user of its own.
ARG BASE=localhost:5000/debian:bookworm
FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends openssh-client sudo gcc libc6-dev make man-db
WORKDIR /src
COPY src .
RUN make -j2 && ./greet > /tmp/greeting

FROM ${BASE}
RUN useradd --create-home --uid 1500 app && mkdir -p /opt/app/bin
COPY --from=build --chown=app:app --chmod=0750 /src/greet /opt/app/bin/
COPY --from=build /tmp/greeting /opt/app/greeting
ENV GREETING=/opt/app/greeting
WORKDIR /opt/app
USER app
CMD ["/opt/app/bin/greet"]
