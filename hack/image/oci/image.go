// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Image is one platform's image.
type Image struct {
	// OS and Architecture are named as by Go: linux, amd64.
	OS, Architecture string
	Layers           []*Layer
	Config           Config
	// Annotations go into the manifest, and into the index where there is one.
	Annotations map[string]string
	// Created is when it was made, as the image says, in whole seconds.
	Created time.Time
}

// Config is how a container of the image starts; the names are those of the OCI
// image configuration, section "properties".
type Config struct {
	User       string            `json:"User,omitempty"`
	Env        []string          `json:"Env,omitempty"`
	Entrypoint []string          `json:"Entrypoint,omitempty"`
	Cmd        []string          `json:"Cmd,omitempty"`
	WorkingDir string            `json:"WorkingDir,omitempty"`
	Labels     map[string]string `json:"Labels,omitempty"`
	StopSignal string            `json:"StopSignal,omitempty"`
}

// Media types of the OCI image specification 1.1.
const (
	typeIndex      = "application/vnd.oci.image.index.v1+json"
	typeManifest   = "application/vnd.oci.image.manifest.v1+json"
	typeConfig     = "application/vnd.oci.image.config.v1+json"
	typeLayer      = "application/vnd.oci.image.layer.v1.tar+gzip"
	typePlainLayer = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        *descriptor       `json:"config,omitempty"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// dockerImage is an entry of the manifest.json that `docker load` reads.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// layout is the content of an OCI image layout: files by their path.
type layout map[string][]byte

// add stores what a descriptor with the digest and size of the blob names.
func (l layout) add(mediaType string, blob []byte) descriptor {
	sum := fmt.Sprintf("%x", sha256.Sum256(blob))
	l["blobs/sha256/"+sum] = blob
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: len(blob)}
}

// Write writes the images as one tar archive in OCI's image layout, under the
// full name given (registry/repository:tag), and returns the digest a registry
// knows it by. `ctr images import` reads it. An archive of one image is also
// read by `docker load` and `kind load image-archive`, of several is an index
// with an entry for each platform, for registries.
func Write(to io.Writer, name string, images ...Image) (digest string, err error) {
	if len(images) == 0 {
		return "", errors.New("cannot write an image: there is none")
	}
	repository, tag, found := cutTag(name)
	if !found {
		return "", fmt.Errorf("cannot write image %q: the name must be registry/repository:tag", name)
	}
	files := layout{}
	var manifests []descriptor
	for i := range images {
		added, docker, err := files.image(&images[i])
		if err != nil {
			return "", fmt.Errorf("cannot write image %q: %w", name, err)
		}
		manifests = append(manifests, added)
		if len(images) == 1 {
			docker.RepoTags = []string{repository + ":" + tag}
			if files["manifest.json"], err = json.Marshal([]dockerImage{docker}); err != nil {
				return "", fmt.Errorf("cannot write image %q: %w", name, err)
			}
		}
	}
	root := manifests[0]
	if len(images) > 1 {
		index, err := json.Marshal(manifest{SchemaVersion: 2, MediaType: typeIndex, Manifests: manifests, Annotations: images[0].Annotations})
		if err != nil {
			return "", fmt.Errorf("cannot write image %q: %w", name, err)
		}
		root = files.add(typeIndex, index)
	}
	// containerd takes the whole name from its own annotation, others the tag from OCI's.
	root.Annotations = map[string]string{"io.containerd.image.name": repository + ":" + tag, "org.opencontainers.image.ref.name": tag}
	if files["index.json"], err = json.Marshal(manifest{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{root}}); err != nil {
		return "", fmt.Errorf("cannot write image %q: %w", name, err)
	}
	files["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	return root.Digest, files.archive(to, images[0].Created)
}

// cutTag splits registry/repository:tag; the registry may have a port.
func cutTag(name string) (repository, tag string, found bool) {
	colon := strings.LastIndex(name, ":")
	if colon <= 0 || strings.Contains(name[colon:], "/") || colon == len(name)-1 || !strings.Contains(name[:colon], "/") {
		return "", "", false
	}
	return name[:colon], name[colon+1:], true
}

// image adds layers, configuration and manifest.
func (l layout) image(image *Image) (descriptor, dockerImage, error) {
	var docker dockerImage
	written := manifest{SchemaVersion: 2, MediaType: typeManifest, Annotations: image.Annotations}
	diffIDs := make([]string, 0, len(image.Layers))
	for _, layer := range image.Layers {
		added := l.add(layer.mediaType, layer.blob)
		written.Layers = append(written.Layers, added)
		docker.Layers = append(docker.Layers, blobPath(added))
		diffIDs = append(diffIDs, layer.diffID)
	}
	config, err := json.Marshal(map[string]any{
		"created": image.Created.Truncate(time.Second).UTC(), "os": image.OS, "architecture": image.Architecture,
		"config": image.Config, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return descriptor{}, docker, err
	}
	configuration := l.add(typeConfig, config)
	written.Config, docker.Config = &configuration, blobPath(configuration)
	blob, err := json.Marshal(written)
	if err != nil {
		return descriptor{}, docker, err
	}
	added := l.add(typeManifest, blob)
	added.Platform = &platform{OS: image.OS, Architecture: image.Architecture}
	return added, docker, nil
}

func blobPath(d descriptor) string {
	return "blobs/sha256/" + strings.TrimPrefix(d.Digest, "sha256:")
}

// archive writes the files in the order of their names.
func (l layout) archive(to io.Writer, when time.Time) error {
	archive := tar.NewWriter(to)
	for _, name := range slices.Sorted(maps.Keys(l)) {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(l[name])),
			ModTime: when.Truncate(time.Second).UTC(), Format: tar.FormatUSTAR,
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("cannot write %q: %w", name, err)
		}
		if _, err := archive.Write(l[name]); err != nil {
			return fmt.Errorf("cannot write %q: %w", name, err)
		}
	}
	return archive.Close()
}
