package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/client"
)

// Default returns the endpoint that the Docker CLI would use: that of DOCKER_HOST, else of the context which
// DOCKER_CONTEXT or the CLI's configuration names, else the usual socket. A configuration that can't be read is
// reported to warn and done without, as the CLI does.
func Default(warn func(error)) (Endpoint, error) {
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		e, err := fromEnv(host)
		if err != nil {
			err = fmt.Errorf("%s: %w", client.EnvOverrideHost, err)
		}
		return e, err
	}
	name, from := os.Getenv("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
	if name == "" {
		var err error
		if name, err = currentContext(); err != nil {
			warn(fmt.Errorf("the Docker CLI's configuration can't be read, and counts as one without a context: %w", err))
		}
		from = filepath.Join(configDir(), "config.json")
	}
	if name == "" || name == "default" {
		return Endpoint{Host: client.DefaultDockerHost}, nil
	}
	e, err := fromContext(name)
	if err != nil {
		err = fmt.Errorf("the Docker context '%s', which %s names: %w", name, from, err)
	}
	return e, err
}

// fromEnv returns what the client's usual environment variables say. Certificates lie beside the CLI's configuration
// unless they say where.
func fromEnv(host string) (Endpoint, error) {
	e := Endpoint{Host: host}
	dir, verify := os.Getenv(client.EnvOverrideCertPath), os.Getenv(client.EnvTLSVerify) != ""
	if dir == "" && verify {
		dir = configDir()
	}
	if dir != "" && strings.HasPrefix(host, "tcp://") {
		e.TLS, e.SkipVerify = true, !verify
		e.CACert, e.Cert, e.Key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	return e, ValidHost(host)
}

// configDir is where the CLI keeps its configuration, "" if nowhere.
func configDir() string {
	home, err := os.UserHomeDir()
	if err == nil {
		home = filepath.Join(home, ".docker")
	}
	return cmp.Or(os.Getenv("DOCKER_CONFIG"), home)
}

// currentContext returns the context that "docker context use" has set, "" if none.
func currentContext() (string, error) {
	if configDir() == "" {
		return "", nil
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	err := readJSON(filepath.Join(configDir(), "config.json"), &config)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return config.CurrentContext, err
}

// contextID is the name of a context's folders.
func contextID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// fromContext returns the endpoint of the context, which lies where "docker context create" puts it.
func fromContext(name string) (Endpoint, error) {
	id := contextID(name)
	dir := filepath.Join(configDir(), "contexts")
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	switch err := readJSON(filepath.Join(dir, "meta", id, "meta.json"), &meta); {
	case errors.Is(err, fs.ErrNotExist):
		return Endpoint{}, fmt.Errorf("there is no such context in %s; 'docker context ls' shows those that there are", dir)
	case err != nil:
		return Endpoint{}, err
	}
	docker, ok := meta.Endpoints["docker"]
	if !ok {
		return Endpoint{}, errors.New("it has no endpoint of a Docker Engine")
	}
	e := Endpoint{Host: cmp.Or(docker.Host, client.DefaultDockerHost)}
	if strings.HasPrefix(e.Host, "tcp://") {
		e.TLS, e.SkipVerify = docker.SkipTLSVerify, docker.SkipTLSVerify
		for file, path := range map[string]*string{"ca.pem": &e.CACert, "cert.pem": &e.Cert, "key.pem": &e.Key} {
			at := filepath.Join(dir, "tls", id, "docker", file)
			if _, err := os.Stat(at); err == nil {
				e.TLS, *path = true, at
			} else if !errors.Is(err, fs.ErrNotExist) {
				return Endpoint{}, err
			}
		}
	}
	return e, ValidHost(e.Host)
}

// maxConfig bounds a file of the CLI's, in octets.
const maxConfig = 1 << 20

func readJSON(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxConfig)).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
