package satoken

import "encoding/binary"

// idSet counts distinct audit ids by 64-bit hashes. Below its cap it is exact.
// At the cap it keeps only hashes below a threshold, which is halved as often as
// needed, and multiplies: an estimate that depends neither on the order in which
// ids come nor on how often one comes.
type idSet struct {
	table []uint64 // open addressing, a power of two long; 0 is free
	n     int
	shift uint8
}

// insert adds a hash and reports by how many elements the set grew.
func (s *idSet) insert(h uint64, limit int) int {
	h = max(h, 1)
	if h>>(64-s.shift) != 0 { // a shift by 64 gives 0
		return 0
	}
	before := s.n
	if !s.put(h) {
		return 0
	}
	s.trim(limit)
	return s.n - before
}

// put adds a hash and tells whether it is new.
func (s *idSet) put(h uint64) bool {
	if 4*s.n >= 3*len(s.table) {
		s.rehash(max(4, 2*len(s.table)))
	}
	mask := uint64(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case h:
			return false
		case 0:
			s.table[i] = h
			s.n++
			return true
		}
	}
}

// rehash moves what is below the threshold into a table of the given length.
func (s *idSet) rehash(size int) {
	old := s.table
	s.table, s.n = make([]uint64, size), 0
	for _, h := range old {
		if h != 0 && h>>(64-s.shift) == 0 {
			s.put(h)
		}
	}
}

// all yields the hashes.
func (s *idSet) all(yield func(uint64) bool) {
	for _, h := range s.table {
		if h != 0 && !yield(h) {
			return
		}
	}
}

// trim halves the threshold until no more than limit hashes are left.
func (s *idSet) trim(limit int) {
	for s.n > limit && s.shift < 63 {
		s.shift++
		s.rehash(len(s.table))
	}
}

// count is the number of distinct ids, and whether it is exact.
func (s *idSet) count() (n int64, exact bool) {
	return int64(s.n) << s.shift, s.shift == 0
}

// hashID spreads an audit id over 64 bits, the same in every run.
func hashID(id []byte) uint64 {
	const m = 0x9e3779b97f4a7c15
	h := uint64(len(id)) * m
	for len(id) >= 8 {
		h = mix(h ^ binary.LittleEndian.Uint64(id)*m)
		id = id[8:]
	}
	for _, c := range id {
		h = mix(h ^ uint64(c)*m)
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}
