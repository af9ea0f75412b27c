package engine

import (
	"context"
	"time"
)

// Ping asks the engine who it is, as a watch does at its beginning, and returns what it says.
func Ping(ctx context.Context, e Endpoint) (description string, err error) {
	a, err := dial(e, e.Source(), unobserved{})
	if err != nil {
		return "", err
	}
	i, err := a.info(ctx)
	if err := a.close(); err != nil {
		return "", err
	}
	return i.description, err
}

// unobserved is an Observer that takes no notice.
type unobserved struct{}

func (unobserved) Connected(Source, string)                  {}
func (unobserved) Disconnected(Source, error)                {}
func (unobserved) Event(Source, string, string)              {}
func (unobserved) Call(Source, string, time.Duration, error) {}
func (unobserved) Unreadable(Source, string, error)          {}
func (unobserved) Reconciled(Source, time.Duration, int)     {}
func (unobserved) InspectFailed(Source, string, error)       {}
func (unobserved) LeftOut(Source, string, error)             {}
func (unobserved) Applied(Source, time.Duration)             {}
