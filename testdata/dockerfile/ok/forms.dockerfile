FROM scratch
RUN
CMD
ENTRYPOINT [""]
CMD []
RUN [ -f x ] && y
SHELL ["/bin/sh", "-x", "-c"]
HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD --interval=5s x
HEALTHCHECK CMD ["a", "\u2603"]
HEALTHCHECK NONE
