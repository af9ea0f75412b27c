package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

func (c *call) explain(ctx context.Context, s *client) int {
	name := c.words[0]
	if strings.Trim(name, ".") == "" { // HTTP takes these for the path's own
		return c.fail(exitUsage, fmt.Errorf("'%s' is no name that can be explained", name))
	}
	return c.ask(ctx, s, "/explain/"+url.PathEscape(name), query("type", c.options.kind, "from", c.options.from, "block", c.options.block))
}

func (c *call) names(ctx context.Context, s *client) int {
	return c.ask(ctx, s, "/names", query("from", c.options.from, "block", c.options.block, "q", c.options.search, "after", c.options.after, "limit", rows))
}

func (c *call) containers(ctx context.Context, s *client) int {
	if len(c.words) > 0 {
		return c.ask(ctx, s, "/containers/"+url.PathEscape(c.words[0]), query("block", c.options.block))
	}
	return c.ask(ctx, s, "/containers", query("block", c.options.block, "q", c.options.search, "after", c.options.after, "limit", rows))
}

func (c *call) hosts(ctx context.Context, s *client) int {
	return c.ask(ctx, s, "/hosts", query("block", c.options.block))
}

// rows is how many rows of a table are asked for: as many as the server gives.
const rows = "10000"

// query returns the keys that have a value.
func query(keysAndValues ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(keysAndValues); i += 2 {
		if value := keysAndValues[i+1]; value != "" {
			q.Set(keysAndValues[i], value)
		}
	}
	return q
}

// ask prints what the server says.
func (c *call) ask(ctx context.Context, s *client, path string, q url.Values) int {
	form := asText
	if c.options.json {
		form = asJSON
	}
	resp, err := s.get(ctx, path, q, form)
	if err != nil {
		return c.noAnswer(s, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(c.out, resp.Body); err != nil {
		return c.fail(exitNoServer, fmt.Errorf("the answer of %s: %w", s.address, err))
	}
	if resp.Header.Get(status.RecordsField) == "0" {
		return exitFound
	}
	return exitWell
}

// noAnswer prints why the server has not answered.
func (c *call) noAnswer(s *client, err error) int {
	var no refusal
	if !errors.As(err, &no) {
		return c.fail(exitNoServer, fmt.Errorf("the server can't be asked at %s: %w\n%s\n'%s docker doctor' looks for what else may be wrong", s.address, err, unasked(err), c.program))
	}
	switch no.code {
	case http.StatusBadRequest:
		return c.fail(exitUsage, no)
	case http.StatusNotFound:
		return c.fail(exitFound, no)
	default:
		return c.fail(exitNoServer, no)
	}
}

// unasked says what to do about a server that can't be asked.
func unasked(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "The socket is for others: run this as its owner or in its group, or have the property set them, as in status unix:///PATH 0660 GROUP"
	}
	return `It has to run, with the property status in its docker block:
    docker docker. {
        status
    }
An address that stands after status goes after --status`
}
