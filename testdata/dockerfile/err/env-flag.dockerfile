FROM scratch
ENV --x A=1
