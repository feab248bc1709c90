FROM scratch IS build
