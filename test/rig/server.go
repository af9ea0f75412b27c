package rig

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Log takes a process's output while tests read it.
type Log struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Lines returns the lines that hold text.
func (l *Log) Lines(text string) (found []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// FreePort finds a port of the address that is free for UDP and TCP. It lies below those from which
// sockets get theirs when they ask for none, so that none takes it before the caller does.
func FreePort(ip string) (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		addr := net.JoinHostPort(ip, strconv.Itoa(port))
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", addr)
		tcp.Close()
		if err == nil {
			udp.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port of %s", ip)
}

// Get reads what is at the URL. Another status than 200 is an error, which has the body.
func Get(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, b)
	}
	return b, err
}

// Metrics reads a server's metrics: by name, the sum of the samples over all labels.
func Metrics(url string) (map[string]float64, error) {
	b, err := Get(url)
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		end := strings.IndexAny(line, "{ ")
		if end < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", line[:end], err)
		}
		sums[line[:end]] += value
	}
	return sums, nil
}

// Metric reads one metric of a server's: the sum of its samples over all labels.
func Metric(url, name string) (float64, error) {
	all, err := Metrics(url)
	if err != nil {
		return 0, err
	}
	sum, found := all[name]
	if !found {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return sum, nil
}
