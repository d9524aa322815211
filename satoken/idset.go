package satoken

import "encoding/binary"

// idSet counts distinct audit ids by 64-bit hashes. Below its cap it is exact.
// At the cap it keeps only hashes below a threshold, which is halved as often as
// needed, and multiplies: an estimate that depends neither on the order in which
// ids come nor on how often one comes.
type idSet struct {
	hashes map[uint64]struct{}
	shift  uint8
}

// insert adds a hash and reports by how many elements the set grew.
func (s *idSet) insert(h uint64, limit int) int {
	if h>>(64-s.shift) != 0 { // a shift by 64 gives 0
		return 0
	}
	if s.hashes == nil {
		s.hashes = map[uint64]struct{}{}
	}
	before := len(s.hashes)
	s.hashes[h] = struct{}{}
	s.trim(limit)
	return len(s.hashes) - before
}

// trim halves the threshold until no more than limit hashes are left.
func (s *idSet) trim(limit int) {
	if len(s.hashes) <= limit {
		return
	}
	kept := s.hashes
	for len(kept) > limit && s.shift < 63 {
		s.shift++
		next := make(map[uint64]struct{}, len(kept)/2)
		for h := range kept {
			if h>>(64-s.shift) == 0 {
				next[h] = struct{}{}
			}
		}
		kept = next
	}
	s.hashes = kept
}

// count is the number of distinct ids, and whether it is exact.
func (s *idSet) count() (n int64, exact bool) {
	return int64(len(s.hashes)) << s.shift, s.shift == 0
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
