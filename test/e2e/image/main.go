// Command image is all that the end-to-end tests' container image holds: static, so that
// the image needs no other and no registry.
//
//	image sleep             until told to stop (what a container does by default)
//	image stubborn          the same, deaf to SIGTERM and SIGQUIT
//	image crash             fails after a second
//	image resolve NAME…     asks the container's own resolver; a line of addresses for each
//	image ask SERVER NAME…  the same, but asks the server
//	image health            exits 1 between sicken and heal, 0 else: for HEALTHCHECK
//	image sicken | heal
//	image find SERVER NAME N  exits 1 if the server has less than N addresses for the name: for HEALTHCHECK
//	image http ADDRESS      answers every request with the container's hostname
//	image tell ADDRESS TEXT  says the text to all who connect
//	image proxy ADDRESS SOCKET  passes connections on to the socket
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const sick = "/sick" // the file that makes the health check fail

func main() {
	mode, args := "sleep", []string(nil)
	if len(os.Args) > 1 {
		mode, args = os.Args[1], os.Args[2:]
	}
	if err := run(mode, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(mode string, args []string) error {
	switch mode {
	case "sleep":
		wait(syscall.SIGTERM, os.Interrupt)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGQUIT)
		wait(os.Interrupt)
	case "crash":
		time.Sleep(time.Second)
		return errors.New("crashed")
	case "resolve":
		return resolve(&net.Resolver{PreferGo: true}, args)
	case "ask":
		if len(args) < 2 {
			return fmt.Errorf("ask needs a server and names")
		}
		return resolve(at(args[0]), args[1:])
	case "health":
		if _, err := os.Stat(sick); err == nil {
			return fmt.Errorf("%s exists", sick)
		}
	case "find":
		return find(args)
	case "sicken":
		return os.WriteFile(sick, nil, 0o644)
	case "heal":
		return os.Remove(sick)
	case "http":
		return serve(args)
	case "tell":
		return tell(args)
	case "proxy":
		return proxy(args)
	default:
		return fmt.Errorf("unknown mode %q", mode)
	}
	return nil
}

// wait returns on one of the signals. As process 1 we get only those that we ask for.
func wait(signals ...os.Signal) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, signals...)
	<-told
}

// at is a resolver that asks the server, whatever /etc/resolv.conf says.
func at(server string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
}

// find looks for so many addresses.
func find(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("find needs a server, a name and a number")
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	addrs, err := at(args[0]).LookupHost(ctx, args[1])
	if err == nil && len(addrs) < n {
		err = fmt.Errorf("%d addresses", len(addrs))
	}
	return err
}

// resolve asks as any static Go program in a container does: by the search list and
// options of /etc/resolv.conf, and if the resolver does not say else, its servers.
func resolve(r *net.Resolver, names []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, name := range names {
		addrs, err := r.LookupHost(ctx, name)
		if err != nil {
			return err
		}
		fmt.Println(strings.Join(addrs, " "))
	}
	return nil
}

func serve(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("http needs an address to listen on")
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	return http.ListenAndServe(args[0], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, host)
	}))
}

func tell(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("tell needs an address to listen on and a text")
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		io.WriteString(conn, args[1])
		conn.Close()
	}
}

func proxy(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("proxy needs an address to listen on and a socket")
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	for {
		near, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer near.Close()
			far, err := net.Dial("unix", args[1])
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			defer far.Close()
			go func() {
				io.Copy(far, near)
				far.Close()
			}()
			io.Copy(near, far)
		}()
	}
}
