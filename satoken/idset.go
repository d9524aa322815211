package satoken

// idSet counts distinct audit ids by 64-bit hashes. Below its cap it is exact.
// At the cap it keeps only hashes below a threshold, which is halved as often as
// needed, and multiplies: an estimate that depends neither on the order in which
// ids come nor on how often one comes.
type idSet struct {
	waits uint8
	shift uint8
	limit int
	n     int
	table []uint64 // open addressing, a power of two long; 0 is free
	// Hashes wait until there are several: the table is often far away in
	// memory, and several are not much more work than one.
	waiting [4]uint64
}

// insert adds a hash and reports by how many elements the set grew, now that
// others stop waiting too.
func (s *idSet) insert(h uint64, limit int) int {
	h = max(h, 1)
	if h>>(64-s.shift) != 0 { // a shift by 64 gives 0
		return 0
	}
	s.limit = limit
	s.waiting[s.waits] = h
	if s.waits++; int(s.waits) < len(s.waiting) {
		return 0
	}
	return s.settle()
}

// settle puts what waits into the table and reports by how many elements the
// set grew.
func (s *idSet) settle() int {
	before := s.n
	for _, h := range s.waiting[:s.waits] {
		if h>>(64-s.shift) == 0 && s.put(h) {
			s.shrink()
		}
	}
	s.waits = 0
	return s.n - before
}

// put adds a hash and tells whether it is new.
func (s *idSet) put(h uint64) bool {
	if 4*s.n >= 3*len(s.table) {
		s.rehash(max(16, 2*len(s.table)))
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

// rehash moves all into a table of the given length.
func (s *idSet) rehash(size int) {
	old := s.table
	s.table, s.n = make([]uint64, size), 0
	for _, h := range old {
		if h != 0 {
			s.put(h)
		}
	}
}

// sift keeps what is below the threshold.
func (s *idSet) sift() {
	var few [256]uint64
	kept := few[:0]
	for _, h := range s.table {
		if h != 0 && h>>(64-s.shift) == 0 {
			kept = append(kept, h)
		}
	}
	clear(s.table)
	s.n = 0
	for _, h := range kept {
		s.put(h)
	}
}

// all yields the hashes.
func (s *idSet) all(yield func(uint64) bool) {
	s.settle()
	for _, h := range s.table {
		if h != 0 && !yield(h) {
			return
		}
	}
}

// trim sets the limit, and halves the threshold until no more hashes are left.
func (s *idSet) trim(limit int) {
	s.limit = limit
	s.settle()
	s.shrink()
}

func (s *idSet) shrink() {
	for s.n > s.limit && s.shift < 63 {
		s.shift++
		s.sift()
	}
}

// count is the number of distinct ids, and whether it is exact.
func (s *idSet) count() (n int64, exact bool) {
	s.settle()
	return int64(s.n) << s.shift, s.shift == 0
}
