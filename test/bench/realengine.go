package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// workers is how many calls to the engine are made at a time where order does not matter.
const workers = 8

// realEngine is the Docker Engine that the environment names. All that is made in it carries the
// end-to-end tests' label.
type realEngine struct {
	*client.Client
	run    string // marks what this run makes
	labels map[string]string
	image  string
	idle   []string // containers that do nothing but run
	made   int
}

func openEngine(ctx context.Context, dir string) (*realEngine, error) {
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, err
	}
	if _, err := c.Ping(ctx); err != nil {
		return nil, err
	}
	run := cmp.Or(os.Getenv("E2E_RUN_ID"), strings.ToLower(rand.Text()[:6]))
	e := &realEngine{Client: c, run: run, labels: map[string]string{"dockerdiscovery.e2e": run}, image: "dockerdiscovery-bench:" + run}
	return e, e.makeImage(ctx, dir)
}

// makeImage makes the end-to-end tests' image.
func (e *realEngine) makeImage(ctx context.Context, dir string) error {
	program := filepath.Join(dir, "image")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./test/e2e/image")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the image's program: %w\n%s", err, out)
	}
	b, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "image", Mode: 0o755, Size: int64(len(b))}); err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	out, err := e.ImageImport(ctx, image.ImportSource{Source: &archive, SourceName: "-"}, e.image,
		image.ImportOptions{Changes: []string{`ENTRYPOINT ["/image"]`, "LABEL dockerdiscovery.e2e=" + e.run}})
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(io.Discard, out)
	return err
}

// remove removes all that the run made.
func (e *realEngine) remove() error {
	ctx := context.Background() // the run's may be over
	ours := filters.NewArgs(filters.Arg("label", "dockerdiscovery.e2e="+e.run))
	list, err := e.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return err
	}
	err = inParallel(len(list), func(i int) error { return e.drop(list[i].ID) })
	networks, listErr := e.NetworkList(ctx, network.ListOptions{Filters: ours})
	err = errors.Join(err, listErr)
	for i := range networks {
		err = errors.Join(err, e.NetworkRemove(ctx, networks[i].ID))
	}
	_, imageErr := e.ImageRemove(ctx, e.image, image.RemoveOptions{Force: true})
	return errors.Join(err, imageErr, e.Close())
}

func (e *realEngine) drop(id string) error {
	return e.ContainerRemove(context.Background(), id, container.RemoveOptions{Force: true})
}

// inParallel calls f with 0 to n-1, by a few workers.
func inParallel(n int, f func(i int) error) error {
	next, failed := make(chan int), make([]error, n)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				failed[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(failed...)
}

// create makes a container that does not run yet; what it does is what the image's program is told.
func (e *realEngine) create(ctx context.Context, name, hostname string, program ...string) (string, error) {
	r, err := e.ContainerCreate(ctx, &container.Config{Image: e.image, Hostname: hostname, Labels: e.labels, Cmd: program}, nil, nil, nil, name)
	return r.ID, err
}

func (e *realEngine) start(ctx context.Context, id string) error {
	return e.ContainerStart(ctx, id, container.StartOptions{})
}

// name is a new one.
func (e *realEngine) name() string {
	e.made++
	return fmt.Sprintf("bench-%s-%d", e.run, e.made)
}

// createNamed makes n containers and returns their names' questions too.
func (e *realEngine) createNamed(ctx context.Context, n int) (ids []string, qs []question, err error) {
	ids, qs = make([]string, n), make([]question, n)
	names := make([]string, n)
	for i := range n {
		names[i] = e.name()
		qs[i] = address(names[i])
	}
	err = inParallel(n, func(i int) (err error) {
		ids[i], err = e.create(ctx, names[i], "")
		return err
	})
	return ids, qs, err
}

// ensure has so many containers run besides those that are measured.
func (e *realEngine) ensure(ctx context.Context, n int) error {
	ids, _, err := e.createNamed(ctx, max(0, n-len(e.idle)))
	if err != nil {
		return err
	}
	e.idle = append(e.idle, ids...)
	return inParallel(len(ids), func(i int) error { return e.start(ctx, ids[i]) })
}
