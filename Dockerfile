# Riser in a container. Build: docker build -t riser .
# Run (the host's network is needed for BACnet broadcasts, and only then):
#   docker run -d --name riser --restart unless-stopped --stop-timeout 20 \
#     --read-only --cap-drop ALL --security-opt no-new-privileges \
#     --memory 512m --pids-limit 256 --network host \
#     --tmpfs /run/riser:mode=0711,uid=10001,gid=10001 --tmpfs /tmp \
#     --tmpfs /var/cache/riser:uid=10001,gid=10001 \
#     -v riser-state:/var/lib/riser -v /etc/riser:/etc/riser:ro \
#     [--device /dev/serial/by-id/usb-…:/dev/ttyUSB0 --group-add dialout] \
#     riser
# Secrets: files of mode 0600 that user 10001 owns, named in the configuration as {file: …}.
# A release pins the base image by its digest as well: --build-arg BASE=debian:bookworm-slim@sha256:…
ARG BASE=debian:bookworm-slim

# The runtime comes from npm with the hash of the lock file, as everywhere else (ADR 64). The npm of
# this image only unpacks: no install script runs (.npmrc), nothing is compiled.
FROM node:24-bookworm-slim AS packages
WORKDIR /opt/riser
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
# One path to Node on each kind of processor.
RUN ln -s node_modules/node-linux-$(uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/') node \
  && node/bin/node --version

FROM ${BASE} AS riser
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/var/cache/riser \
    PATH=/opt/riser/systemd:/opt/riser/node/bin:/usr/local/bin:/usr/bin:/bin
RUN groupadd --gid 10001 riser \
  && useradd --uid 10001 --gid 10001 --home-dir /var/lib/riser --shell /usr/sbin/nologin riser \
  && install -d -o 10001 -g 10001 -m 0700 /var/lib/riser /var/cache/riser \
  && install -d -o 10001 -g 10001 -m 0711 /run/riser \
  && install -d -m 0755 /etc/riser
WORKDIR /opt/riser
COPY --from=packages /opt/riser ./
COPY LICENSE* CHANGELOG.md ./
COPY systemd/riser ./systemd/riser
COPY config ./config
COPY plugins ./plugins
COPY tools/receiver ./tools/receiver
COPY src ./src
USER 10001:10001
VOLUME /var/lib/riser
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["riser", "ready"]
ENTRYPOINT ["/opt/riser/node/bin/node", "--max-old-space-size=256", "--disable-proto=delete", "/opt/riser/src/main.ts"]
CMD ["run", "--config", "/etc/riser"]
