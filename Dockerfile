# The guard (and every other command) as an image. Build: docker build -t mkto-audit .

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# The bundled SQLite and the TLS library are built from C; the slim image has the compiler for it.
RUN cargo build --release --locked --bin mkto-audit

FROM debian:12.12-slim
# Marketo's certificate is checked against the system's authorities.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/mkto-audit
COPY --from=build /src/target/release/mkto-audit /usr/local/bin/mkto-audit

# Settings come from the environment, or from /etc/mkto-audit/config.toml. Leases, the day's calls and the tally of shadow mode
# are in the volume; the rest of the file system may be read-only.
ENV XDG_CONFIG_HOME=/etc XDG_DATA_HOME=/var/lib XDG_CACHE_HOME=/var/lib/mkto-audit/cache
VOLUME ["/var/lib/mkto-audit"]
USER 10001:10001
EXPOSE 8700
STOPSIGNAL SIGTERM

# Asks the guard in the container whether it answers. Where another command is run: docker run --no-healthcheck. Whether it can
# write, too, is what a load balancer wants to know: GET /-/readyz.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 CMD ["mkto-audit", "guard", "check"]

# Reached from outside the container, it wants --tls-cert and --tls-key, or --insecure-listen where what stands in front of it
# speaks TLS; without either it says so and ends.
ENTRYPOINT ["mkto-audit"]
CMD ["guard", "--listen", "0.0.0.0:8700", "--log-format", "json"]
