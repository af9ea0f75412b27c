package dockerdiscovery

// Ready implements ready.Readiness: it is true once all containers that ran when the
// engine was first reconciled have their records.
func (d *Docker) Ready() bool { return d.catalog.Complete() }
