FROM scratch
RU\
M make
