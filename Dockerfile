# voicebot on the processor: a server that is not root, and a helper that brings the weights.
#
#   docker build -t voicebot .                        the server
#   docker build -t voicebot:weights --target weights .    what fills its volume
#
# compose.yaml builds both. docs/deploying.md tells the rest.

# --- packages: as wheels, into an environment that is copied as a whole -------------------------
FROM python:3.11-slim-bookworm AS packages
WORKDIR /build
COPY requirements*.txt ./
# Others in their place: --build-arg REQUIREMENTS="-r requirements.txt -r requirements-ray.txt"
ARG REQUIREMENTS="-r requirements-embedded.txt"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
# shellcheck disable=SC2086 # it is several words
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --only-binary :all: ${REQUIREMENTS} -c requirements.txt

# --- what both images have ----------------------------------------------------------------------
FROM python:3.11-slim-bookworm AS common
# llama.cpp computes with OpenMP, whose library its wheel leaves to the system.
# hadolint ignore=DL3008 # Debian keeps one version of it at a time
RUN apt-get update \
    && apt-get install --no-install-recommends --yes libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data voicebot \
    && install --directory --owner voicebot --group voicebot --mode 0700 /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VOICEBOT_DATA_DIR=/data \
    VOICEBOT_HOST=0.0.0.0
USER 10001:10001
VOLUME /data

# --- brings the weights, then ends --------------------------------------------------------------
FROM common AS weights
# The voices come through npm.
COPY --from=node:22-bookworm-slim /usr/local/bin/node /usr/local/bin/node
COPY --from=node:22-bookworm-slim /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
# hadolint ignore=DL3066 # who is root is known everywhere
USER root
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
USER 10001:10001
CMD ["python", "manage.py", "fetch_weights", "--profile"]

# --- serves; the last one, hence the one that is built by default -------------------------------
FROM common AS server
EXPOSE 8000
# Healthy: a turn would be answered now. Loading takes seconds, more with larger weights.
HEALTHCHECK --interval=30s --timeout=5s --start-period=3m --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/api/health/ready', timeout=4)"]
CMD ["sh", "deploy/serve.sh"]
