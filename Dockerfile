# One image for every role of Roundhouse, and for the operators' commands.
#
#   docker build -t roundhouse .
#
# Any builder of Docker will do. Dependencies are a layer of their own, built again only when a manifest changes.

FROM rust:1.95-bookworm AS manifests
WORKDIR /src
COPY . .
# All that decides which dependencies are built: the manifests, and an empty file for each target of theirs.
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path '*/src/lib.rs' ! -name main.rs \
        ! -path '*/tests/*.rs' -delete \
    && echo 'fn main() { }' > /empty.rs \
    && find . -name '*.rs' -exec cp /empty.rs {} \; \
    && find . -type d -empty -delete \
    && chmod -R u=rwX,go=rX .

FROM rust:1.95-bookworm AS dependencies
WORKDIR /src
ENV CARGO_PROFILE_DIST_DEBUG=none CARGO_PROFILE_DIST_STRIP=debuginfo
COPY --from=manifests /src .
RUN cargo build --profile dist --locked --package roundhouse --features cluster

FROM dependencies AS build
COPY . .
# Sources are older than what was just built of the empty files, and cargo goes by the time.
RUN find . -name '*.rs' -exec touch {} + \
    && cargo build --profile dist --locked --package roundhouse --features cluster \
    && target/dist/roundhouse topics --help > /dev/null

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="roundhouse" \
      org.opencontainers.image.description="Settles short bets on game rounds for many bookmakers at once" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/target/dist/roundhouse /usr/local/bin/roundhouse
# The authorities whose certificates wallets may have.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV ROUNDHOUSE__SERVER__LISTEN=0.0.0.0:8080 ROUNDHOUSE__SERVER__ADMIN_LISTEN=0.0.0.0:9190
# The API; and metrics, readiness and what else is for those who run it alone.
EXPOSE 8080 9190
# Nothing is written outside of the paths that are given: the root file system may be read-only.
USER 10001:10001
ENTRYPOINT ["roundhouse"]
