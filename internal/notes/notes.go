// Package notes lets the nodes of one authority tell each other what they know, by a
// note of each in the store. A note is written when it changed, and again before it
// expires: a node that died is forgotten by itself.
package notes

import (
	"bytes"
	"context"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// How often a node may have news, and how long a note stands. Clocks of nodes may
// differ by the rest.
const (
	Every = time.Second
	again = 20 * time.Second
	life  = time.Minute
)

const goodbye = time.Second

// Store is the part of a store that keeps notes.
type Store interface {
	PutNote(ctx context.Context, n authority.Note) error
	Notes(ctx context.Context, topic authority.NoteTopic, now time.Time) ([]authority.Note, error)
	DropNote(ctx context.Context, topic authority.NoteTopic, node string) error
}

// Note is the one of a node on a topic. It is used by one goroutine.
type Note struct {
	store Store
	topic authority.NoteTopic
	node  string

	body []byte // as it was written last; nil: there is none
	at   time.Time
}

// New is a note that has not been written yet.
func New(store Store, topic authority.NoteTopic, node string) *Note {
	return &Note{store: store, topic: topic, node: node}
}

// Tell writes the note if it is news at now, or about to expire. Without a body there
// is none.
func (n *Note) Tell(ctx context.Context, body []byte, now time.Time) error {
	if len(body) == 0 {
		return n.drop(ctx)
	}
	if bytes.Equal(body, n.body) && now.Sub(n.at).Abs() < again {
		return nil
	}
	if err := n.store.PutNote(ctx, authority.Note{Topic: n.topic, Node: n.node, Body: body, ExpiresAt: now.Add(life)}); err != nil {
		return err
	}
	n.body, n.at = body, now
	return nil
}

// Others returns what the other nodes tell.
func (n *Note) Others(ctx context.Context, now time.Time) ([]authority.Note, error) {
	all, err := n.store.Notes(ctx, n.topic, now)
	var others []authority.Note
	for _, note := range all {
		if note.Node != n.node {
			others = append(others, note)
		}
	}
	return others, err
}

// Close takes the note back, also when ctx is done already. What cannot be taken back
// expires.
func (n *Note) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = n.drop(ctx)
}

func (n *Note) drop(ctx context.Context) error {
	if n.body == nil {
		return nil
	}
	if err := n.store.DropNote(ctx, n.topic, n.node); err != nil {
		return err
	}
	n.body = nil
	return nil
}
