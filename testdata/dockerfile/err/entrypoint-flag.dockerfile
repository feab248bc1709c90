FROM scratch
ENTRYPOINT --flag x
