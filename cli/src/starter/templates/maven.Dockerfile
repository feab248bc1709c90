# syntax=docker/dockerfile:1
FROM maven:3.9-eclipse-temurin-21 AS build
WORKDIR /src
COPY . .
# The largest archive is the one with everything in it.
RUN --mount=type=cache,target=/root/.m2 \
    mvn --batch-mode package -DskipTests && cp "$(ls -S target/*.jar | head -n 1)" /app.jar

FROM eclipse-temurin:21-jre
COPY --from=build /app.jar /app.jar
USER 10001:10001
ENTRYPOINT ["java", "-jar", "/app.jar"]
