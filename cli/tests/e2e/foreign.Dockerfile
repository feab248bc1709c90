# A Debian of another architecture, put together by its own programs, and a package installed there.
ARG BASE
FROM --platform=$BUILDPLATFORM $BASE AS files
RUN apt-get -q update && apt-get -qy install --no-install-recommends debootstrap
ARG TARGETARCH
RUN debootstrap --foreign --variant=minbase --arch=$TARGETARCH bookworm /rootfs \
    "$(awk '$1 == "deb" { print $2; exit }; $1 == "URIs:" { print $2; exit }' \
      /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null)"

FROM scratch AS debian
COPY --from=files /rootfs /
# With every capability there is no filter, and so nobody who makes devices; what debootstrap believes
# to be a container of this kind has them already.
ARG container=lxc
RUN --security=insecure /debootstrap/debootstrap --second-stage
COPY --from=files /etc/apt/sources.list* /etc/apt/

FROM debian
RUN apt-get -q update && apt-get -qy install --no-install-recommends openssh-client
RUN dpkg --print-architecture > /architecture && uname -m >> /architecture
CMD ["ssh", "-V"]
