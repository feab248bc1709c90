FROM scratch
CMD ["a", \
# why
  "b", \
]
