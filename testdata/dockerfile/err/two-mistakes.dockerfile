FROM scratch
RUNN make
COPY x
USER
