ARG V=1
ENV A=1
FROM scratch
