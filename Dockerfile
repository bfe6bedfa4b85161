# The build service's own image: `launchyard serve`, for a Docker engine whose socket it is given (docs/deploy.md).
#
#   docker build --tag launchyard .
#
# Where the network asks for it, an index, proxies and certificate authorities come in as in every build of
# Launchyard's: as the secrets `settings` (lines of NAME='value', such as UV_DEFAULT_INDEX) and `certificates` (PEM).
# The base is a Debian whose own Docker client speaks `--progress=rawjson`: trixie, or a later one.
ARG DEBIAN=debian:trixie-slim

FROM ${DEBIAN} AS system
RUN --mount=type=secret,id=settings \
    --mount=type=bind,source=templates/files/tools/with-settings,target=/run/with-settings \
    sh /run/with-settings apt-get update -qq && \
    sh /run/with-settings env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
      ca-certificates docker-buildx docker-cli git python3 tini && \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*

FROM system AS build
RUN --mount=type=secret,id=settings \
    --mount=type=bind,source=templates/files/tools/with-settings,target=/run/with-settings \
    sh /run/with-settings apt-get update -qq && \
    sh /run/with-settings env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv
WORKDIR /source
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_NO_CONFIG=1 UV_PYTHON=/opt/launchyard UV_PYTHON_DOWNLOADS=never
COPY pyproject.toml requirements.lock templates/parents/locks/uv.txt ./
# What the service needs is in pyproject.toml; the lock, which has more, says which version and which bytes.
RUN --mount=type=secret,id=settings --mount=type=secret,id=certificates \
    --mount=type=bind,source=templates/files/tools/with-settings,target=/run/with-settings \
    python3 -m venv /uv && \
    sh /run/with-settings /uv/bin/pip install -q --no-cache-dir --require-hashes -r uv.txt && \
    /uv/bin/uv venv -q --python /usr/bin/python3 /opt/launchyard && \
    sh /run/with-settings /uv/bin/uv pip install -q --compile-bytecode \
      --require-hashes --constraint requirements.lock --requirement pyproject.toml
COPY . .
# Django is asked for by django-htmx, of which nothing is imported.
RUN --mount=type=secret,id=settings --mount=type=secret,id=certificates \
    --mount=type=bind,source=templates/files/tools/with-settings,target=/run/with-settings \
    sh /run/with-settings /uv/bin/uv build -q --wheel --python /usr/bin/python3 \
      --require-hashes --build-constraint requirements.lock && \
    /uv/bin/uv pip install -q --compile-bytecode --no-deps dist/*.whl && \
    /uv/bin/uv pip uninstall -q django && \
    rm /opt/launchyard/.lock

FROM system
RUN useradd --uid 1000 --user-group --no-create-home --home-dir /nonexistent launchyard && \
    install -d -o launchyard -g launchyard -m 700 /var/lib/launchyard /var/cache/launchyard
COPY --from=build /opt/launchyard /opt/launchyard
# So settings are /etc/launchyard/launchyard.toml, and credentials of registries /etc/launchyard/docker/config.json.
ENV PATH=/opt/launchyard/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    XDG_CONFIG_HOME=/etc XDG_STATE_HOME=/var/lib XDG_CACHE_HOME=/var/cache \
    DOCKER_CONFIG=/etc/launchyard/docker BUILDX_CONFIG=/var/cache/launchyard/buildx
VOLUME /var/lib/launchyard
USER 1000:1000
EXPOSE 8700
# Not urllib, which would ask a proxy.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=1s \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8700, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
# An init, for the programs of a build that was ended outlive their parents.
ENTRYPOINT ["tini", "--", "launchyard"]
CMD ["serve", "--host=0.0.0.0"]
