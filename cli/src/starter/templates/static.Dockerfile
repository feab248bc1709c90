# syntax=docker/dockerfile:1
FROM busybox:1.37.0
COPY {{folder}} /srv
USER 10001:10001
EXPOSE 8080
CMD ["httpd", "-f", "-p", "8080", "-h", "/srv"]
