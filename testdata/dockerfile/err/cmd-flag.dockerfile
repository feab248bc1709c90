FROM scratch
CMD --flag x
