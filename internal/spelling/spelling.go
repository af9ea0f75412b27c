// Package spelling tells how much two names differ.
package spelling

// Limit is by how many letters another spelling of the name may differ: the more the longer it is.
func Limit(name string) int { return max(1, min(len(name)/4, 3)) }

// Distance is how many letters have to be put in, left out, changed or swapped with the next one to make one name of the other,
// or more than limit if it is more.
func Distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) > limit {
		return limit + 1
	}
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return rest(a, b, limit)
}

// rest is Distance of names that begin and end with different letters.
func rest(a, b string, limit int) int {
	const usual = 64
	var small [3][usual]uint16
	buf := [3][]uint16{small[0][:], small[1][:], small[2][:]}
	if len(b) >= usual {
		for i := range buf {
			buf[i] = make([]uint16, len(b)+1)
		}
	}
	before, last, row := buf[0][:len(b)+1], buf[1][:len(b)+1], buf[2][:len(b)+1]
	for j := range last {
		last[j] = uint16(j)
	}
	for i := range len(a) {
		row[0] = uint16(i + 1)
		least := row[0]
		for j := range len(b) {
			changed := last[j]
			if a[i] != b[j] {
				changed++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, changed)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
			least = min(least, row[j+1])
		}
		if int(least) > limit {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return int(last[len(b)])
}
