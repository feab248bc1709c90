FROM scratch
ADD --parents a /o/
