FROM scratch
CMD ["C:\x"]
