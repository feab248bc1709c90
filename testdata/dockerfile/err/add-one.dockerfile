FROM scratch
ADD f
