FROM --plattform=linux/amd64 scratch
