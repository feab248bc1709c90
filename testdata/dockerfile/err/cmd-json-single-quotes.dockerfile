FROM scratch
CMD ['a']
