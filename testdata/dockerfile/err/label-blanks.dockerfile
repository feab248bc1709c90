FROM scratch
LABEL a=1 two words
