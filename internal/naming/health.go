package naming

// Health says what a container's health check decides. Paused and stopping containers are
// unwell whatever it says.
type Health string

// The ways to treat health.
const (
	PreferHealth  Health = "prefer"  // the unhealthy answer only where nobody is healthy
	RequireHealth Health = "require" // the unhealthy never answer
	IgnoreHealth  Health = "ignore"  // it decides nothing
)

// ParseHealth reads a way to treat health, and reports whether it is one.
func ParseHealth(text string) (Health, bool) {
	switch h := Health(text); h {
	case PreferHealth, RequireHealth, IgnoreHealth:
		return h, true
	default:
		return "", false
	}
}
