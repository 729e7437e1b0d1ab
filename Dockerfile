# driftgauge as a container: not root, a read-only root file system, state on a volume.
#
#   docker build -t driftgauge:dev .
#   docker run --read-only --tmpfs /tmp -v ./driftgauge.yaml:/etc/driftgauge/driftgauge.yaml:ro -v state:/var/lib/driftgauge driftgauge:dev
#
# The configuration says `http: {bind: 0.0.0.0}` and `state: {directory: /var/lib/driftgauge/state}`.
# Behind a package mirror or an authority of your own: --secret id=pip.conf,src=... --secret id=ca.pem,src=...; neither is left in the image.

ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
COPY pyproject.toml README.md ./
COPY monitor monitor
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS venv
# Extras, separated by commas: librdkafka is the cheaper Kafka client, parquet reads training data in that format.
ARG EXTRAS=librdkafka
COPY --from=wheel /wheels /wheels
# pip stays outside: what runs in the container cannot install anything.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    python3 -m venv --without-pip /opt/driftgauge \
    && python3 -m pip --python /opt/driftgauge/bin/python install --no-cache-dir "$(echo /wheels/driftgauge-*.whl)${EXTRAS:+[${EXTRAS}]}"

FROM ${PYTHON_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="driftgauge" \
      org.opencontainers.image.description="Watches machine-learning models in production, by segment, from Kafka" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A fixed number, so that volumes keep their owner and an orchestrator can see that it is not root.
RUN groupadd --gid 10001 driftgauge \
    && useradd --uid 10001 --gid driftgauge --no-create-home --home-dir /var/lib/driftgauge --shell /usr/sbin/nologin driftgauge \
    && install --directory --owner driftgauge --group driftgauge --mode 0750 /var/lib/driftgauge \
    && install --directory /etc/driftgauge
COPY --from=venv /opt/driftgauge /opt/driftgauge
ENV PATH=/opt/driftgauge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/driftgauge
VOLUME /var/lib/driftgauge
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["driftgauge", "healthcheck", "-c", "/etc/driftgauge/driftgauge.yaml"]
ENTRYPOINT ["driftgauge"]
CMD ["run", "-c", "/etc/driftgauge/driftgauge.yaml"]
