package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
)

// ends measures what takes an address away, from the engine's time of the event.
func (l *latencies) ends(ctx context.Context, name string) error {
	n, err := l.engine.NetworkCreate(ctx, l.engine.name(), network.CreateOptions{Labels: l.engine.labels})
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name string
		end  func(ctx context.Context, network string) (lag, delay time.Duration, err error)
	}{{"stop signal", l.stopSignal}, {"die", l.die}, {"disconnect", l.disconnect}} {
		var lags []time.Duration
		var delays []float64
		for range l.times {
			lag, delay, err := kind.end(ctx, n.ID)
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			lags, delays = append(lags, lag), append(delays, float64(delay)/1e6)
		}
		columns := append(slices.Clip(timeColumns), column{Title: "until another client has the event, ms", Digits: 2})
		l.add("event → answer changed", columns, kind.name+", "+name, append(times(lags), estimateOf(delays))...)
	}
	return l.engine.NetworkRemove(ctx, n.ID)
}

// stopSignal sends one to a container that shares its hostname with another, and is deaf.
func (l *latencies) stopSignal(ctx context.Context, _ string) (lag, delay time.Duration, err error) {
	hostname := l.engine.name()
	var ids []string
	for range 2 {
		id, err := l.engine.create(ctx, l.engine.name(), hostname, "stubborn")
		if err != nil {
			return 0, 0, err
		}
		defer l.engine.drop(id)
		if err := l.engine.start(ctx, id); err != nil {
			return 0, 0, err
		}
		ids = append(ids, id)
	}
	return l.change(ctx, address(hostname), 2, 1, ids[0], events.ActionKill, func() error { return l.engine.ContainerKill(ctx, ids[0], "TERM") })
}

func (l *latencies) die(ctx context.Context, _ string) (lag, delay time.Duration, err error) {
	ids, qs, err := l.engine.createNamed(ctx, 1)
	if err != nil {
		return 0, 0, err
	}
	defer l.engine.drop(ids[0])
	if err := l.engine.start(ctx, ids[0]); err != nil {
		return 0, 0, err
	}
	return l.change(ctx, qs[0], 1, 0, ids[0], events.ActionDie, func() error { return l.engine.ContainerKill(ctx, ids[0], "KILL") })
}

// disconnect takes a container out of one of its two networks.
func (l *latencies) disconnect(ctx context.Context, network string) (lag, delay time.Duration, err error) {
	ids, qs, err := l.engine.createNamed(ctx, 1)
	if err != nil {
		return 0, 0, err
	}
	defer l.engine.drop(ids[0])
	if err := l.engine.NetworkConnect(ctx, network, ids[0], nil); err != nil {
		return 0, 0, err
	}
	if err := l.engine.start(ctx, ids[0]); err != nil {
		return 0, 0, err
	}
	return l.change(ctx, qs[0], 2, 1, ids[0], events.ActionDisconnect, func() error { return l.engine.NetworkDisconnect(ctx, network, ids[0], false) })
}

// change asks all the time while the action is done, and returns how long after the container's event
// the number of addresses was another, and how long after it this process had read the event.
func (l *latencies) change(ctx context.Context, q question, before, after int, id string, action events.Action, do func() error) (lag, delay time.Duration, err error) {
	if _, err := l.until(q, before); err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	messages, failed := l.engine.Events(ctx, events.ListOptions{
		Since: fmt.Sprint(time.Now().Unix()), Filters: filters.NewArgs(filters.Arg("event", string(action))),
	})
	type arrival struct{ event, read time.Time }
	arrived := make(chan arrival, 1)
	go func() {
		for {
			select {
			case m := <-messages:
				if m.Actor.ID == id || m.Actor.Attributes["container"] == id {
					arrived <- arrival{time.Unix(0, m.TimeNano), time.Now()}
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	done := make(chan error, 1)
	go func() { done <- do() }()
	at, err := l.until(q, after)
	if err := errors.Join(err, <-done); err != nil {
		return 0, 0, err
	}
	select {
	case a := <-arrived:
		return at.Sub(a.event), a.read.Sub(a.event), nil
	case err := <-failed:
		return 0, 0, fmt.Errorf("waiting for the event %s: %w", action, err)
	}
}
