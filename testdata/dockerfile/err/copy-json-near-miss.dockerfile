FROM scratch
COPY ['f', '/o/']
