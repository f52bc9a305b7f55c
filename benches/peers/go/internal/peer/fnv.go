package peer

// FNV-1a of 32 bits. Written out, since hash/fnv would allocate a hash and copies of the strings for each key.
const (
	fnvOffset uint32 = 2166136261
	fnvPrime  uint32 = 16777619
)

// fnv1a hashes the parts as if they were one text.
func fnv1a(parts ...string) uint32 {
	hash := fnvOffset
	for _, part := range parts {
		for i := range len(part) {
			hash = (hash ^ uint32(part[i])) * fnvPrime
		}
	}
	return hash
}
