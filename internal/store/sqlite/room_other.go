//go:build !linux && !darwin

package sqlite

// FreeSpace is how many bytes can still be written to the file system of dir.
// known is false where that cannot be asked, as here.
func FreeSpace(string) (free uint64, known bool) { return 0, false }
