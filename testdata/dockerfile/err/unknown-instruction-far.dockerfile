FROM scratch
INSTALL make
