# Myelin, run by nobody in particular, on a base without a shell:
#   docker build -t myelin .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p myelin \
 && strip target/release/myelin \
 && install -d -m 700 /empty

FROM gcr.io/distroless/cc-debian12:nonroot
# The health check's only program: busybox, which is what it is called.
COPY --from=busybox:1.37.0-musl /bin/busybox /usr/local/bin/wget
COPY --from=build /src/target/release/myelin /usr/local/bin/myelin
COPY --from=build --chown=65532:65532 /empty /var/lib/myelin
USER 65532:65532
ENV MYELIN_DATA_DIR=/var/lib/myelin MYELIN_LISTEN=0.0.0.0:8008
VOLUME /var/lib/myelin
EXPOSE 8008
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["/usr/local/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8008/health"]
ENTRYPOINT ["/usr/local/bin/myelin"]
CMD ["serve"]
