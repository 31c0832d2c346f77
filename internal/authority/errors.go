package authority

import "errors"

// Sentinels that stores return, wrapped with what was being done. What they
// mean to a caller is decided above the stores.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")                   // present already, or changed since it was read
	ErrEnded    = errors.New("ended")                      // the grant or session this depends on is no longer live
	ErrUsed     = errors.New("used")                       // a single-use thing was used before
	ErrBusy     = errors.New("the store cannot do it now") // overloaded, or a part of it out of reach: try again later
)
