package agent

// Seams for the external tests, which may start an authority.
var (
	NewWith = newAgent
	Asked   = asked
	Plain   = plain
	Listen  = listen
)
