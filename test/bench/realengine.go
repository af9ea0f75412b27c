package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// workers is how many calls to the engine are made at a time where order does not matter.
const workers = 8

// realEngine is the Docker Engine that the environment names. All that is made in it carries the
// end-to-end tests' label.
type realEngine struct {
	*client.Client
	run    rig.Run // marks what it makes
	labels map[string]string
	image  string
	idle   []string // containers that do nothing but run
	known  question // the first one's name
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
	tarball, err := rig.BuildImage(dir)
	if err != nil {
		return nil, err
	}
	run := rig.NewRun()
	e := &realEngine{Client: c, run: run, labels: map[string]string{rig.Mark: run.ID}, image: "dockerdiscovery-bench:" + run.ID}
	if out, err := rig.Docker(run.ImportImage(tarball, e.image)...); err != nil {
		return nil, fmt.Errorf("docker import: %w: %s", err, out)
	}
	return e, nil
}

// remove removes all that the run made.
func (e *realEngine) remove() error {
	ctx := context.Background() // the run's may be over
	ours := filters.NewArgs(filters.Arg("label", e.run.Label()))
	list, err := e.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return err
	}
	for i := range list {
		err = errors.Join(err, e.drop(list[i].ID))
	}
	networks, listErr := e.NetworkList(ctx, network.ListOptions{Filters: ours})
	err = errors.Join(err, listErr)
	for i := range networks {
		err = errors.Join(err, e.NetworkRemove(ctx, networks[i].ID))
	}
	_, imageErr := e.ImageRemove(ctx, e.image, image.RemoveOptions{Force: true})
	return errors.Join(err, imageErr, e.Close())
}

// drop removes a container. One at a time: Docker 20.10 has stood still for good over some at a time.
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
	return fmt.Sprintf("bench-%s-%d", e.run.ID, e.made)
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
	ids, qs, err := e.createNamed(ctx, max(0, n-len(e.idle)))
	if err != nil {
		return err
	}
	if len(e.idle) == 0 {
		e.known = qs[0]
	}
	e.idle = append(e.idle, ids...)
	return inParallel(len(ids), func(i int) error { return e.start(ctx, ids[i]) })
}
