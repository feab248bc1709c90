FROM scratch
RUN ["echo","hi"] && true
