# syntax=docker/dockerfile:1
FROM {{base}} AS build
WORKDIR /src
COPY . .
# The largest archive is the one with everything in it.
RUN --mount=type=cache,target=/gradle \
    {{gradle}} --gradle-user-home /gradle --no-daemon assemble && \
    cp "$(ls -S build/libs/*.jar | head -n 1)" /app.jar

FROM eclipse-temurin:21-jre
COPY --from=build /app.jar /app.jar
USER 10001:10001
ENTRYPOINT ["java", "-jar", "/app.jar"]
