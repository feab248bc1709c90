FROM scratch
COPY ["f"]
