# One image for both programs: `backup-operator run` and `backup-engine serve`, with kopia for volumes.
# The base is only built in: any Debian-like image with Python 3.11 or newer, its venv module and a CA
# bundle. A release names it by digest (docs/image.md); the image itself is made from nothing.
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
WORKDIR /build
# Three environments: pip and the build backend stay out of the one that is shipped.
RUN python3 -m venv /opt/installer && python3 -m venv --without-pip /opt/backup
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore PIP_CACHE_DIR=/var/cache/pip
# The locked dependencies first: they change less often than the source.
COPY requirements.lock ./
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/installer/bin/pip --python /opt/backup/bin/python3 install --require-hashes --only-binary :all: -r requirements.lock
COPY requirements-build.lock ./
RUN --mount=type=cache,target=/var/cache/pip \
    python3 -m venv --without-pip /opt/backend \
    && /opt/installer/bin/pip --python /opt/backend/bin/python3 install --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator ./operator
COPY image ./image
# kopia as the sandbox's cache has it (image/build.py puts it there), or built from its published module.
RUN if [ ! -x image/bin/kopia ]; then \
      packages="$(/opt/backup/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
      && PYTHONPATH="operator:$packages" /opt/installer/bin/python3 image/kopia.py image/bin/kopia; \
    fi
ARG SOURCE_DATE_EPOCH=0
RUN /opt/installer/bin/pip --python /opt/backend/bin/python3 wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/installer/bin/pip --python /opt/backup/bin/python3 install --no-deps --no-index /wheels/*.whl \
    && cp image/healthcheck.py LICENSE /opt/backup/ \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/backup/lib "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" -x '/(test|idlelib|site-packages/pip)/' \
    && python3 image/assemble.py /image /opt/backup image/bin/kopia \
    && /opt/backend/bin/python3 image/sbom.py /image/opt/backup/sbom.cdx.json /image /opt/backup image/bin/kopia \
    && find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="backup-operator" \
      org.opencontainers.image.description="Backups of SIEM appliances and of Kubernetes itself, as Kubernetes resources." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
# Nothing in the image is ever written: the manifests make the root read-only, and /tmp a volume.
ENV PATH=/opt/backup/bin:/usr/local/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    USER=backup \
    HOME=/tmp
USER 65532:65532
WORKDIR /tmp
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/opt/backup/bin/python3", "/opt/backup/healthcheck.py"]
CMD ["backup-operator", "run"]
