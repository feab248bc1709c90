FROM scratch
ENV A=1 # the first
