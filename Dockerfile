# syntax=docker/dockerfile:1
# One image for the manager and the proxy: static binaries and CA certificates, nothing else.
#   make docker-image
#   docker run doorward            the proxy
#   docker run --entrypoint /manager doorward
# hack/image assembles the same without Docker, and that is what is released; a test of
# hack/image/product holds the two together.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
# Modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY hack/image/roots/ hack/image/roots/
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    mkdir /out && go -C hack/image/roots run . >/out/ca-certificates.crt
COPY api/ api/
COPY cmd/ cmd/
COPY config/ config/
COPY controllers/ controllers/
COPY proxy/ proxy/
ARG VERSION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false \
      -ldflags="-s -w -buildid= -X github.com/doorward/doorward/cmd/version.linked=${VERSION}" -o /out/ ./cmd/manager ./cmd/proxy

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="doorward" \
      org.opencontainers.image.description="Access gateway: the manager (/manager) and the proxy (/proxy)." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/doorward/doorward" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/manager /out/proxy /
# A number, so that runAsNonRoot can be checked without a user database.
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/proxy"]
