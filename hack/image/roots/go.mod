// The certificates of public authorities that the image carries: a module of its
// own, so that they are pinned and reach no binary.
module github.com/doorward/doorward/hack/image/roots

go 1.26.0

require golang.org/x/crypto/x509roots/fallback v0.0.0-20261030153154-30a33513ff6d
