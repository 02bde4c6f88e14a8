// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed config
var configFiles embed.FS

// settings are what the files of config are filled with.
type settings struct {
	Name, Dir, Group, Domain, DNS, Pods, Pause, Plugins, Snapshotter, Provisioner string
}

// settings returns those of this cluster.
func (c *Cluster) settings() settings {
	return settings{
		Name: c.Name, Dir: c.Dir, Group: c.group(), Domain: domain, DNS: dnsAddress, Pods: podRange,
		Pause: pauseImage, Plugins: pluginsDir(), Snapshotter: c.snapshotter, Provisioner: provisionerName,
	}
}

// fill returns a file of config with the cluster's settings.
func (c *Cluster) fill(name string) (string, error) {
	content, err := configFiles.ReadFile("config/" + name)
	if err != nil {
		return "", fmt.Errorf("cannot read a configuration: %w", err)
	}
	parsed, err := template.New(name).Option("missingkey=error").Parse(string(content))
	if err != nil {
		return "", fmt.Errorf("cannot read configuration %q: %w", name, err)
	}
	var filled bytes.Buffer
	if err := parsed.Execute(&filled, c.settings()); err != nil {
		return "", fmt.Errorf("cannot fill configuration %q: %w", name, err)
	}
	return filled.String(), nil
}

// configure writes a file of config, filled, into the node's folder and returns its path.
func (c *Cluster) configure(name string) (string, error) {
	filled, err := c.fill(name)
	if err != nil {
		return "", err
	}
	return c.write(name, filled)
}

// pluginFolders are where distributions put the CNI plugins.
var pluginFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// pluginsDir returns the folder of the CNI plugins, the first one where there is none.
func pluginsDir() string {
	for _, folder := range pluginFolders {
		if _, err := os.Stat(filepath.Join(folder, "bridge")); err == nil {
			return folder
		}
	}
	return pluginFolders[0]
}
