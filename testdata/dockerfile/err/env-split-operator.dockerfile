FROM scratch
ENV A=${NOPE:?must set}
