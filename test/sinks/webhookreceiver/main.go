// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command webhookreceiver is an example of what receives Doorward's webhooks:
// it verifies the signature, drops records that it has, and answers 204 when
// the others are on disk. It needs nothing but the standard library. The tests
// of the webhook sink run it.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxLines bounds the records of one request after decompression.
const maxLines = 64 << 20

func main() {
	address := flag.String("listen", "127.0.0.1:8443", "host and port")
	certificate := flag.String("cert", "", "PEM certificate of the server")
	key := flag.String("key", "", "PEM key of the certificate")
	secrets := flag.String("secrets", "", "file of signing secrets, one a line, such as whsec_...")
	out := flag.String("out", "records.jsonl", "file that the records go to")
	limit := flag.Int64("limit", 16<<20, "most bytes of one request")
	flag.Parse()
	if err := run(*address, *certificate, *key, *secrets, *out, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "webhookreceiver:", err)
		os.Exit(1)
	}
}

func run(address, certificate, key, secrets, out string, limit int64) error {
	keys, err := readKeys(secrets)
	if err != nil {
		return err
	}
	store, err := openStore(out)
	if err != nil {
		return fmt.Errorf("cannot open the records: %w", err)
	}
	server := &http.Server{
		Addr: address, Handler: receiver(keys, store, limit),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
	}
	return server.ListenAndServeTLS(certificate, key)
}

// readKeys reads and decodes the signing secrets.
func readKeys(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the secrets: %w", err)
	}
	defer file.Close()
	var keys [][]byte
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines.Text(), "whsec_"))
		if err != nil {
			return nil, fmt.Errorf("secret %d is not base64", len(keys)+1)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no secret in the file")
	}
	return keys, nil
}

// receiver takes requests of at most limit bytes.
func receiver(keys [][]byte, store *store, limit int64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /records", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "cannot read the request", http.StatusBadRequest)
			return
		}
		if err := verify(r.Header, body, keys, time.Now()); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		// Only what is proven to come from a proxy is worth decompressing.
		if r.Header.Get("Content-Encoding") == "gzip" {
			if body, err = unzipped(body); err != nil {
				http.Error(w, "cannot decompress the request", http.StatusBadRequest)
				return
			}
		}
		if err := store.add(body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func unzipped(body []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(reader, maxLines+1))
	if err == nil && len(content) > maxLines {
		err = errors.New("too many records")
	}
	return content, err
}
