package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notes"
)

// Bounds of a note of who follows the feed of a node. What is beyond them is told as readers that hold no key, so
// that nobody waits for less than there is.
const (
	maxGroups   = 200  // of readers of one client that hold the same keys
	maxListed   = 100  // of a group, one by one
	maxReaders  = 2000 // listed in all
	maxKeyBytes = 64
)

// Follower is a reader at any node.
type Follower struct {
	Reader
	Node   string
	Others int // so many more of the client, with the same keys, are not listed
}

// group is the readers of one client that hold the same keys.
type group struct {
	Client string
	Keys   []string
	Listed []seat
	Others int
}

type seat struct {
	From  string
	Since int64 // Unix milliseconds
}

// groups sums readers up, within the bounds.
func groups(all []Reader) []group {
	var found []group
	listed := 0
	index := make(map[string]int)
	for _, r := range all {
		keys := slices.DeleteFunc(slices.Clone(r.Keys), func(k string) bool { return len(k) > maxKeyBytes })
		slices.Sort(keys)
		name := r.Client + " " + strings.Join(keys, " ")
		i, there := index[name]
		switch {
		case there:
		case len(found) < maxGroups:
			i = len(found)
			found = append(found, group{Client: r.Client, Keys: keys})
			index[name] = i
		case len(found) == maxGroups:
			found = append(found, group{Client: r.Client}) // and all after it
			fallthrough
		default:
			i = maxGroups
		}
		g := &found[i]
		if listed < maxReaders && len(g.Listed) < maxListed || len(g.Listed) == 0 {
			g.Listed = append(g.Listed, seat{r.From, r.Since.UnixMilli()})
			listed++
		} else {
			g.Others++
		}
	}
	return found
}

// followers are the readers of groups, one by one.
func followers(node string, from []group) []Follower {
	var all []Follower
	for _, g := range from {
		for i, s := range g.Listed {
			f := Follower{Node: node, Reader: Reader{Client: g.Client, From: s.From, Since: time.UnixMilli(s.Since).UTC(), Keys: g.Keys}}
			if i == len(g.Listed)-1 {
				f.Others = g.Others
			}
			all = append(all, f)
		}
	}
	return all
}

// Followers lists who follows the feed at any node, by client: at this one as it is
// now, at the others as they have told within about a second.
func (f *Feed) Followers(ctx context.Context) ([]Follower, error) {
	all := followers(f.cfg.Node, groups(f.Readers()))
	if f.cfg.Notes == nil {
		return all, nil
	}
	others, err := notes.New(f.cfg.Notes, authority.NoteGuards, f.cfg.Node).Others(ctx, f.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("feed: followers of other nodes: %w", err)
	}
	for _, n := range others {
		var told []group
		if err := json.Unmarshal(n.Body, &told); err != nil {
			return nil, fmt.Errorf("feed: followers of node %s: %w", n.Node, err)
		}
		all = append(all, followers(n.Node, told)...)
	}
	slices.SortStableFunc(all, func(a, b Follower) int { return strings.Compare(a.Client, b.Client) })
	return all, nil
}

// Report tells the other nodes who follows this one, until ctx is done.
func (f *Feed) Report(ctx context.Context) {
	tick := time.NewTicker(notes.Every)
	defer tick.Stop()
	note := notes.New(f.cfg.Notes, authority.NoteGuards, f.cfg.Node)
	defer note.Close(ctx)
	for {
		select {
		case <-tick.C:
			if err := f.tell(ctx, note); err != nil && ctx.Err() == nil {
				f.cfg.Logger.WarnContext(ctx, "other nodes were not told who follows the feed; trying again", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// tell writes the note. While nobody follows there is none.
func (f *Feed) tell(ctx context.Context, note *notes.Note) error {
	var body []byte
	if all := f.Readers(); len(all) > 0 {
		var err error
		if body, err = json.Marshal(groups(all)); err != nil {
			return err
		}
	}
	return note.Tell(ctx, body, f.cfg.Now())
}
