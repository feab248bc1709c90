# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build
WORKDIR /app
RUN python3 -m venv /venv
COPY {{sources}} ./
RUN --mount=type=cache,target=/root/.cache/pip /venv/bin/pip install {{what}}

FROM python:3.13-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
USER 10001:10001
CMD {{command}}
