package share

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/authpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// guarded is an etcd that wants to know who asks. Hosts a, b and c have users and roles of these names, as docs/share.md shows.
type guarded struct {
	*rig.Etcd
	t    *testing.T
	ca   *rig.Authority
	root *clientv3.Client
}

func newGuarded(t *testing.T, flags ...string) *guarded {
	t.Helper()
	ca := rig.NewAuthority(t)
	g := &guarded{Etcd: rig.NewEtcdTLS(t, ca, 1, flags...), t: t, ca: ca}
	g.setUp(g.certified("root"))
	return g
}

// setUp makes the users and roles. Root is who the function says, or has the password "root".
func (g *guarded) setUp(root func(*Config)) {
	g.t.Helper()
	cfg := Config{URLs: g.URLs()}
	root(&cfg)
	var err error
	if g.root, err = cfg.dial(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { g.root.Close() })
	g.do(func(ctx context.Context) error {
		_, role := g.root.RoleAdd(ctx, "root")
		_, user := g.root.UserAdd(ctx, "root", "root")
		_, granted := g.root.UserGrantRole(ctx, "root", "root")
		return errors.Join(role, user, granted)
	})
	for _, host := range []string{"a", "b", "c"} {
		g.do(func(ctx context.Context) error {
			_, role := g.root.RoleAdd(ctx, host)
			_, user := g.root.UserAdd(ctx, host, "secret-"+host)
			_, granted := g.root.UserGrantRole(ctx, host, host)
			return errors.Join(role, user, granted)
		})
		g.allow(host, clientv3.PermRead, "/p/")
		g.allow(host, clientv3.PermReadWrite, "/p/"+host+"/")
	}
}

// do has root do something.
func (g *guarded) do(f func(context.Context) error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	if err := f(ctx); err != nil {
		g.t.Fatal(err)
	}
}

// enable has etcd ask who asks.
func (g *guarded) enable() {
	g.t.Helper()
	g.do(func(ctx context.Context) error {
		_, err := g.root.AuthEnable(ctx)
		return err
	})
}

func (g *guarded) allow(role string, what authpb.Permission_Type, prefix string) {
	g.t.Helper()
	g.do(func(ctx context.Context) error {
		_, err := g.root.RoleGrantPermission(ctx, role, prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(what))
		return err
	})
}

func (g *guarded) forbid(role, prefix string) {
	g.t.Helper()
	g.do(func(ctx context.Context) error {
		_, err := g.root.RoleRevokePermission(ctx, role, prefix, clientv3.GetPrefixRangeEnd(prefix))
		return err
	})
}

// issue makes a certificate of a client's, which has the time to live.
func issue(t *testing.T, ca *rig.Authority, user string, life time.Duration) (cert, key string) {
	t.Helper()
	return rig.WriteCertificate(t, ca.Issue(t, clientCertificate(user, life)))
}

func clientCertificate(user string, life time.Duration) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: user}, NotAfter: time.Now().Add(life), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// certified has a host be a user by a certificate.
func (g *guarded) certified(user string) func(*Config) {
	g.t.Helper()
	cert, key := issue(g.t, g.ca, user, time.Hour)
	return func(cfg *Config) { cfg.TLS = TLS{On: true, Cert: cert, Key: key, CACert: g.ca.File} }
}

// password has a host be a user by a password, and returns the file with it.
func (g *guarded) password(user, password string) (as func(*Config), file string) {
	g.t.Helper()
	file = filepath.Join(g.t.TempDir(), "password")
	writeFile(g.t, file, password)
	tls := g.certified("nobody")
	return func(cfg *Config) {
		tls(cfg)
		cfg.User, cfg.Password = user, file
	}, file
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// machine returns one that is somebody to etcd.
func (g *guarded) machine(name string, as func(*Config)) *machine {
	m := newMachine(g.t, g.Etcd, name)
	m.as = as
	return m
}

// awaitTrouble waits until the host's state says what is wrong, and what to do.
func (m *machine) awaitTrouble(reached bool, want, cure string) {
	m.t.Helper()
	await(m.t, patience, func() error {
		s := m.member.State()
		if s.Reached != reached || reached && s.Owned || s.Err == nil || !strings.Contains(s.Err.Error(), want) || !strings.Contains(Cure(s.Err), cure) {
			return fmt.Errorf("reached %v, owned %v: %v: %s; want %q: %q", s.Reached, s.Owned, s.Err, Cure(s.Err), want, cure)
		}
		return nil
	})
}

// awaitFine waits until the host tells, and knows what others do.
func (m *machine) awaitFine() {
	m.t.Helper()
	await(m.t, patience, func() error {
		if s := m.member.State(); !s.Reached || !s.Owned || s.Err != nil {
			return fmt.Errorf("reached %v, owned %v: %w", s.Reached, s.Owned, s.Err)
		}
		return nil
	})
}

// TestRoles has hosts that may write their own keys alone.
func TestRoles(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.enable()
	a, b, c := g.machine("a", g.certified("a")), g.machine("b", g.certified("b")), g.machine("c", g.certified("b"))
	for _, m := range []*machine{a, b, c} {
		m.run("web", "10.1.0.2")
		m.start()
	}
	b.await("a 192.0.2.97: web")

	// Host c comes as user b, who may not write there.
	c.awaitTrouble(true, "/p/c/: etcdserver: permission denied", "readwrite PATH/HOST/")
	c.await("a 192.0.2.97: web; b 192.0.2.98: web")
	g.allow("b", clientv3.PermReadWrite, "/p/c/")
	c.awaitFine()
	b.await("a 192.0.2.97: web; c 192.0.2.99: web")
	if told := c.takeTold(); len(told) != 2 || told[0] == nil || told[1] != nil {
		t.Errorf("of what it may not write host c was told %v, want it once, and then its end", told)
	}

	// What a host may not take away any more goes with its lease.
	g.forbid("c", "/p/c/") // is not who host c comes as
	g.forbid("a", "/p/a/")
	a.end("web")
	a.run("db", "10.1.0.3")
	began := time.Now()
	a.awaitTrouble(true, "permission denied", "readwrite PATH/HOST/")
	b.awaitWithin(lease+2*time.Second-time.Since(began), "c 192.0.2.99: web")
	g.allow("a", clientv3.PermReadWrite, "/p/a/")
	b.await("a 192.0.2.97: db; c 192.0.2.99: web")
	a.awaitFine()

	// Who may not read keeps what it knows.
	g.forbid("a", "/p/")
	a.cut(true)
	a.cut(false)
	a.awaitTrouble(false, "etcdserver: permission denied", "read PATH/")
	g.allow("a", clientv3.PermRead, "/p/")
	a.awaitFine()
	a.await("b 192.0.2.98: web; c 192.0.2.99: web")
}

func (m *machine) takeTold() []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := m.told
	m.told = nil
	return told
}

// TestPasswords has hosts be known by a password, which is wrong, is changed, and is of a user that is taken away. Tokens end each second.
func TestPasswords(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, "--auth-token-ttl", "1", "--bcrypt-cost", "4")
	asA, fileA := g.password("a", "secret-a")
	asB, fileB := g.password("b", "wrong")
	a, b, c := g.machine("a", asA), g.machine("b", asB), g.machine("c", g.certified("c"))
	a.lease = 10 * time.Second
	a.run("web", "10.1.0.2")
	a.start()
	a.awaitFine() // before etcd wants to know
	a.takeTold()
	g.enable()
	b.start()
	c.start()
	b.awaitTrouble(false, "authentication failed", "credentials USER FILE")
	writeFile(t, fileB, "secret-b")
	b.awaitFine()
	b.await("a 192.0.2.97: web; c 192.0.2.99: ")
	lefts := b.lefts()
	for i := range 3 { // each after the tokens have ended
		time.Sleep(1500 * time.Millisecond)
		name := fmt.Sprint("c", i)
		a.run(name, fmt.Sprint("10.1.0.", 10+i))
		await(t, patience, func() error {
			if !strings.Contains(b.sees(), name) {
				return fmt.Errorf("b sees %s", b.sees())
			}
			return nil
		})
	}

	// The members forget all tokens.
	g.Members[0].End()
	g.Start(t)
	a.run("after", "10.1.0.20")
	b.await("a 192.0.2.97: after c0 c1 c2 web; c 192.0.2.99: ")

	// The password is changed, in etcd and in the file.
	g.do(func(ctx context.Context) error {
		_, err := g.root.UserChangePassword(ctx, "a", "new")
		return err
	})
	writeFile(t, fileA, "new")
	a.end("after")
	b.await("a 192.0.2.97: c0 c1 c2 web; c 192.0.2.99: ")
	if b.lefts() != lefts {
		t.Errorf("while tokens ended, etcd was started anew and a password was changed, hosts left %d times", b.lefts()-lefts)
	}

	// The user is taken away, and with it its host, also if nothing of that changes.
	g.do(func(ctx context.Context) error {
		_, err := g.root.UserDelete(ctx, "a")
		return err
	})
	b.await("c 192.0.2.99: ")
}

// TestUnknown has a host that does not say who it is when etcd begins to ask.
func TestUnknown(t *testing.T) {
	t.Parallel()
	g := &guarded{Etcd: rig.NewEtcd(t, 1), t: t}
	file := filepath.Join(t.TempDir(), "password")
	writeFile(t, file, "root")
	g.setUp(func(cfg *Config) { cfg.User, cfg.Password = "root", file })
	a := newMachine(t, g.Etcd, "a")
	a.run("web", "10.1.0.2")
	a.start()
	a.awaitFine()
	g.enable()
	a.end("web")
	a.awaitTrouble(true, "user name is empty", "credentials USER FILE")
}

// awaitRenewal waits until a host has renewed its lease.
func (g *guarded) awaitRenewal(m *machine) {
	g.t.Helper()
	left := int64(1 << 62)
	await(g.t, patience, func() error {
		r, err := g.root.Get(g.t.Context(), "/p/"+m.name+"/"+hostKey)
		if err != nil || len(r.Kvs) == 0 {
			g.t.Fatalf("host %s has left: %v", m.name, err)
		}
		ttl, err := g.root.TimeToLive(g.t.Context(), clientv3.LeaseID(r.Kvs[0].Lease))
		if err != nil {
			return err
		}
		if ttl.TTL <= left {
			left = ttl.TTL
			return fmt.Errorf("host %s has not renewed its lease, of which %d s are left", m.name, left)
		}
		return nil
	})
}

// TestTLS has connections that can't be, and checks that it is said why.
func TestTLS(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	fine, stranger := g.certified("b"), rig.NewAuthority(t)
	otherCert, otherKey := issue(t, stranger, "b", time.Hour)
	oldCert, oldKey := issue(t, g.ca, "b", -time.Hour)
	plain := rig.NewEtcd(t, 1)
	for _, c := range []struct {
		what       string
		change     func(*Config)
		want, cure string
	}{
		{"etcd's CA is another", func(cfg *Config) { cfg.TLS.CACert = stranger.File }, "signed by unknown authority", "tls CERT KEY CACERT"},
		{"no certificate of ours", func(cfg *Config) { cfg.TLS.Cert, cfg.TLS.Key = "", "" }, "remote error: tls: ", "--trusted-ca-file"},
		{"our CA is another", func(cfg *Config) { cfg.TLS.Cert, cfg.TLS.Key = otherCert, otherKey }, "remote error: tls: ", "--trusted-ca-file"},
		{"our certificate has expired", func(cfg *Config) { cfg.TLS.Cert, cfg.TLS.Key = oldCert, oldKey }, "remote error: tls: ", "has not expired"},
		{"a file is missing", func(cfg *Config) { cfg.TLS.Cert = "/no/such" }, "/no/such: no such file", ""},
		{"another name", func(cfg *Config) { cfg.URLs = strings.ReplaceAll(cfg.URLs, "127.0.0.1", "localhost") }, "x509: ", "by which its URL has it"},
		{"no TLS here", func(cfg *Config) { cfg.TLS, cfg.URLs = TLS{}, strings.ReplaceAll(cfg.URLs, "https", "http") }, "server preface", "https://"},
		{"no TLS there", func(cfg *Config) { cfg.URLs = strings.ReplaceAll(plain.URLs(), "http", "https") }, "handshake", "http://"},
		{"nobody there", func(cfg *Config) { cfg.URLs = "https://127.0.0.1:1" }, "connection refused", "another port"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			b := newMachine(t, g.Etcd, "b")
			b.as = func(cfg *Config) {
				fine(cfg)
				c.change(cfg)
			}
			b.start()
			b.awaitTrouble(false, c.want, c.cure)
		})
	}
}

// TestRenewed has a host's certificate end while its server runs, and renewed before. Then its connections are lost: nobody sees that.
func TestRenewed(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.enable()
	const life = 6 * time.Second
	cert, key := issue(t, g.ca, "a", life)
	ends := time.Now().Add(life + time.Second)
	a := g.machine("a", func(cfg *Config) { cfg.TLS = TLS{On: true, Cert: cert, Key: key, CACert: g.ca.File} })
	a.lease = 10 * time.Second
	a.run("web", "10.1.0.2")
	a.start()
	b := g.machine("b", g.certified("b"))
	b.start()
	b.await("a 192.0.2.97: web")
	a.await("b 192.0.2.98: ")
	rig.ReplaceCertificate(t, g.ca.Issue(t, clientCertificate("a", time.Hour)), cert, key)
	time.Sleep(time.Until(ends)) // until the first one has ended
	a.cut(true)
	a.cut(false)
	g.awaitRenewal(a)
	if a.awaitFine(); b.lefts() != 0 {
		t.Errorf("host a left %d times", b.lefts())
	}
}
