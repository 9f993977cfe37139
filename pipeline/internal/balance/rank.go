package balance

// rank puts lanes, or workers, into an order that is the same in each process and
// another one for each who: workers that choose at the same moment choose
// differently. It is FNV-1a, whose last bytes hardly reach the upper bits,
// followed by the finish of splitmix64, which mends that.
func rank(who, what string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [...]string{who, "\x00", what} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
