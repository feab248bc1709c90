FROM --platform=$BUILDPLATFORM a:1 as B
ARG A B=1 C="x y" D=
ENV ONE TWO= THREE=world
ENV "A B"=c d='e f' g=\ h
LABEL ""=x
EXPOSE 80 53/udp 8000-8002
VOLUME /v ["/a"]
VOLUME ["$V/3"]
USER a:b
WORKDIR /a b
STOPSIGNAL SIGINT
MAINTAINER a b <c>
ONBUILD run  lower   spaces
