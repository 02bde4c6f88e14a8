// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read returns the files of an archive.
func read(t *testing.T, written []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for archive := tar.NewReader(bytes.NewReader(written)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func decode[T any](t *testing.T, text []byte) T {
	t.Helper()
	var value T
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("cannot read %q: %v", text, err)
	}
	return value
}

// blob is what a descriptor names; its digest and size must be true.
func blob(t *testing.T, files map[string][]byte, named descriptor) []byte {
	t.Helper()
	content, found := files[blobPath(named)]
	if !found {
		t.Fatalf("blob %q is missing", named.Digest)
	}
	if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(content)); sum != named.Digest || len(content) != named.Size {
		t.Errorf("blob %q: digest %q, size %d, want %d", named.Digest, sum, len(content), named.Size)
	}
	return content
}

func example(t *testing.T, arch string) Image {
	t.Helper()
	layer, err := NewLayer([]Entry{{Path: "/bin/" + arch, Mode: 0o755, Content: []byte(arch)}}, when)
	if err != nil {
		t.Fatal(err)
	}
	return Image{
		OS: "linux", Architecture: arch, Layers: []*Layer{layer}, Created: when, Annotations: map[string]string{"key": "value"},
		Config: Config{User: "65532", Entrypoint: []string{"/bin/" + arch}, Labels: map[string]string{"a": "b"}},
	}
}

func TestWriteOne(t *testing.T) {
	image := example(t, "amd64")
	var first, second bytes.Buffer
	digest, err := Write(&first, "registry.example:5000/group/image:1.0", image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(&second, "registry.example:5000/group/image:1.0", example(t, "amd64")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same image was written differently")
	}
	files := read(t, first.Bytes())
	index := decode[manifest](t, files["index.json"])
	if len(index.Manifests) != 1 || index.Manifests[0].Digest != digest {
		t.Fatalf("index.json does not name the image alone: %+v", index)
	}
	want := map[string]string{"io.containerd.image.name": "registry.example:5000/group/image:1.0", "org.opencontainers.image.ref.name": "1.0"}
	if diff := cmp.Diff(want, index.Manifests[0].Annotations); diff != "" {
		t.Errorf("annotations in index.json (-want +got):\n%s", diff)
	}
	written := decode[manifest](t, blob(t, files, index.Manifests[0]))
	var config struct {
		Created, OS, Architecture string
		Config                    Config
		RootFS                    struct {
			Type    string
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(blob(t, files, *written.Config), &config); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(image.Config, config.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if config.Created != "2026-11-22T08:30:00Z" || config.OS != "linux" || config.Architecture != "amd64" || config.RootFS.Type != "layers" ||
		!cmp.Equal(config.RootFS.DiffIDs, []string{image.Layers[0].diffID}) {
		t.Errorf("configuration is %+v", config)
	}
	blob(t, files, written.Layers[0])
	docker := decode[[]dockerImage](t, files["manifest.json"])
	wantDocker := []dockerImage{{Config: blobPath(*written.Config), RepoTags: []string{"registry.example:5000/group/image:1.0"}, Layers: []string{blobPath(written.Layers[0])}}}
	if diff := cmp.Diff(wantDocker, docker); diff != "" {
		t.Errorf("manifest.json (-want +got):\n%s", diff)
	}
}

func TestWriteIndex(t *testing.T) {
	var written bytes.Buffer
	digest, err := Write(&written, "example.org/image:1", example(t, "amd64"), example(t, "arm64"))
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, written.Bytes())
	if _, found := files["manifest.json"]; found {
		t.Error("manifest.json is there, which cannot say the platform")
	}
	outer := decode[manifest](t, files["index.json"])
	if len(outer.Manifests) != 1 || outer.Manifests[0].MediaType != typeIndex || outer.Manifests[0].Digest != digest {
		t.Fatalf("index.json does not name the index: %+v", outer)
	}
	var platforms []platform
	for _, each := range decode[manifest](t, blob(t, files, outer.Manifests[0])).Manifests {
		platforms = append(platforms, *each.Platform)
		blob(t, files, each)
	}
	if diff := cmp.Diff([]platform{{"amd64", "linux"}, {"arm64", "linux"}}, platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
}

func TestWriteRefusesNames(t *testing.T) {
	for _, name := range []string{"", "example.org/image", "example.org:5000/image", "image:1", "example.org/image:", ":1"} {
		if _, err := Write(io.Discard, name, example(t, "amd64")); err == nil || !strings.Contains(err.Error(), "registry/repository:tag") {
			t.Errorf("name %q: error %v", name, err)
		}
	}
	if _, err := Write(io.Discard, "example.org/image:1"); err == nil {
		t.Error("an archive without an image was written")
	}
}
