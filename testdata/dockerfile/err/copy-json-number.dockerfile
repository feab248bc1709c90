FROM scratch
COPY ["f", 1]
