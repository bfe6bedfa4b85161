# The command `docker compose`, of Debian's own packages, for machines that have none.
ARG DEBIAN=debian:trixie-slim
FROM ${DEBIAN}
RUN apt-get update -qq && \
    apt-get install -qq -y --no-install-recommends docker-cli docker-compose && \
    rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["docker", "compose"]
