# syntax=docker/dockerfile:1
# One image for the manager and the proxy: static binaries and CA certificates, nothing else.
#   docker build --tag doorward .
#   docker run doorward            the proxy
#   docker run --entrypoint /manager doorward

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
# Modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api/ api/
COPY cmd/ cmd/
COPY config/ config/
COPY controllers/ controllers/
COPY proxy/ proxy/
ARG VERSION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false \
      -ldflags="-s -w -X github.com/doorward/doorward/cmd/version.linked=${VERSION}" -o /out/ ./cmd/manager ./cmd/proxy

FROM scratch
ARG VERSION=unknown
LABEL org.opencontainers.image.title="doorward" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/manager /out/proxy /
# A number, so that runAsNonRoot can be checked without a user database.
USER 65532:65532
ENTRYPOINT ["/proxy"]
