package revocation

// State says what a [Follower] is doing.
type State uint8

const (
	// Idle: Run has not begun, or has ended.
	Idle State = iota
	// Connecting: asking the authority, nothing received yet.
	Connecting
	// Streaming: events arrive.
	Streaming
	// Polling: the feed cannot be streamed on this way, long polls are answered.
	Polling
	// Waiting: the last attempt failed, the next follows after a pause.
	Waiting
	// Unauthorized: the authority refuses our credentials (401 or 403); retried slowly.
	Unauthorized
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Streaming:
		return "streaming"
	case Polling:
		return "polling"
	case Waiting:
		return "waiting"
	case Unauthorized:
		return "unauthorized"
	default:
		return "idle"
	}
}

// State returns what the follower is doing now.
func (f *Follower) State() State { return State(f.state.Load()) } //nolint:gosec // only enter writes it, from a State

// Err returns why the last attempt ended, or nil while the feed arrives.
func (f *Follower) Err() error {
	if p := f.lastErr.Load(); p != nil {
		return *p
	}
	return nil
}

// enter records the state and tells of a change.
func (f *Follower) enter(s State, err error) {
	if err == nil {
		f.lastErr.Store(nil)
	} else {
		f.lastErr.Store(&err)
	}
	old := State(f.state.Swap(uint32(s))) //nolint:gosec // was a State
	if old == s {
		return
	}
	switch s {
	case Streaming, Polling:
		incarnation, seq := f.view.Seq()
		f.log.Info("revocation feed connected", "state", s.String(), "incarnation", incarnation, "seq", seq)
	case Unauthorized:
		f.log.Error("revocation feed refuses our credentials", "error", err)
	case Waiting:
		// Only the loss is news; further attempts that fail alike are not.
		if !f.lost {
			f.log.Warn("revocation feed lost", "error", err, "lag", f.view.Lag())
		}
	case Idle, Connecting: // no news
	}
	f.lost = s == Waiting || s == Unauthorized || s == Connecting && f.lost
	if f.onState != nil {
		f.onState(s)
	}
}
