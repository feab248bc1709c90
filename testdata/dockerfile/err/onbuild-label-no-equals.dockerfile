FROM scratch
ONBUILD LABEL a=b c
