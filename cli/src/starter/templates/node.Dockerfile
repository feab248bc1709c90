# syntax=docker/dockerfile:1
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY {{manifests}} ./
RUN --mount=type=cache,target={{cache}} {{install}}
COPY . .
{{build}}
FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app /app
USER node
CMD {{command}}
