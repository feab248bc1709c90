FROM scratch
HEALTHCHECK --timeout=5d CMD x
