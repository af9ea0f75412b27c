package dockerdiscovery

// Ready implements ready.Readiness: it is true once all containers have their records that ran when their hosts were first
// reconciled. A host that is not reconciled in the time of the property startup is waited for no longer.
func (d *Docker) Ready() bool { return d.catalog.Complete() }
