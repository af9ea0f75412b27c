package dockerdiscovery

import (
	"context"
	"strings"
	"sync"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/request"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Metadata implements metadata.Provider.
func (d *Docker) Metadata(ctx context.Context, state request.Request) context.Context {
	who := sync.OnceValue(func() *container.Container {
		if c := d.askers.Who(addr(state.W.RemoteAddr())).Client; c != nil {
			return c.Container
		}
		return &container.Container{}
	})
	metadata.SetValueFunc(ctx, "docker/client", func() string { return who().Name })
	metadata.SetValueFunc(ctx, "docker/client-project", func() string { return naming.Project(who()) })
	metadata.SetValueFunc(ctx, "docker/container", func() string {
		if len(state.Req.Question) == 0 {
			return ""
		}
		e := &exchange{Docker: d, w: state.W}
		var q zone.Query
		e.query(&q, &state.Req.Question[0])
		return strings.Join(d.store.Snapshot().Owners(&q), ",")
	})
	return ctx
}
