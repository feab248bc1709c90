FROM scratch
ADD --from=a b /o/
