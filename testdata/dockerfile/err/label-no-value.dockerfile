FROM scratch
LABEL maintainer
