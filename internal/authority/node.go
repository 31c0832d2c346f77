package authority

import (
	"context"
	"time"
)

// TaskUpkeep is the removal of what has expired.
const TaskUpkeep = "upkeep"

// Lease says which node looks after a task that one at a time does.
//
// It has no end in time, because clocks of nodes differ: the holder changes the
// lease again and again while it is at work, and a node that has seen the same
// Turn for long enough, by its own clock alone, takes over. So two nodes may be
// at work for a while, when the first was only slow. A task under a lease must
// bear that.
type Lease struct {
	Task   string
	Holder string    // name of the node; "" when it was given back
	Turn   uint64    // rises by one with every change; 0 before the first
	RanAt  time.Time // when the task was last done to its end
}

// NoteTopic keeps the notes of different uses apart.
type NoteTopic string

// Topics of notes.
const (
	NoteGuards   NoteTopic = "guards"   // who follows the feed of the node
	NoteAttempts NoteTopic = "attempts" // failures that the node has counted against guessing
)

// MaxNote bounds the body of a note, in bytes.
const MaxNote = 1 << 20

// Note is what a node tells the others. The body means nothing to the store.
type Note struct {
	Topic     NoteTopic
	Node      string
	Body      []byte // at most MaxNote
	ExpiresAt time.Time
}

// NodeStore is what the nodes of one authority know of each other.
type NodeStore interface {
	// Lease returns the lease of a task, with Turn 0 if there never was one.
	Lease(ctx context.Context, task string) (Lease, error)
	// MoveLease writes l if the lease of its task has l.Turn, and raises that by
	// one. ErrConflict: it has another.
	MoveLease(ctx context.Context, l Lease) error
	// PutNote writes the node's note on a topic in place of the one before.
	PutNote(ctx context.Context, n Note) error
	// Notes returns those on a topic that have not expired at now, by node.
	Notes(ctx context.Context, topic NoteTopic, now time.Time) ([]Note, error)
	// DropNote removes the node's note on a topic, if there is one.
	DropNote(ctx context.Context, topic NoteTopic, node string) error
}
