# One image for both programs: `backup-operator run` and `backup-engine serve`.
# The base can be any image with Python 3.11 or newer and a CA bundle.
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /build
RUN python3 -m venv /opt/backup
# The locked dependencies first: they change less often than the source.
COPY requirements.lock ./
RUN /opt/backup/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY requirements-build.lock pyproject.toml README.md LICENSE ./
COPY operator ./operator
# The build backend comes pinned as well, into an environment of its own.
RUN python3 -m venv /opt/backend \
    && /opt/backend/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.lock \
    && /opt/backend/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/backup/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /wheels/*.whl

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="backup-operator" \
      org.opencontainers.image.description="Backups of SIEM appliances and of Kubernetes itself, as Kubernetes resources." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/backup /opt/backup
ENV PATH=/opt/backup/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    USER=backup \
    HOME=/tmp
USER 65532:65532
WORKDIR /tmp
CMD ["backup-operator", "run"]
