package status_test

import "testing"

// BenchmarkTables measures what one answer about 10,000 containers costs.
func BenchmarkTables(b *testing.B) {
	s := serverOf(docker(10000))
	for _, path := range []string{"/containers?limit=10000&format=text", "/containers?limit=10000&format=json", "/containers?q=web0042", "/names?limit=10000&format=json", "/"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				get(s, "GET", path)
			}
		})
	}
}
