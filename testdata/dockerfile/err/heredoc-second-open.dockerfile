FROM scratch
COPY <<A <<B /o/
a
A
b
