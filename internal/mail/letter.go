package mail

import (
	"regexp"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// Letter is what a template can say. Every text in it is one line without
// control characters; none is markup.
type Letter struct {
	Kind   Kind
	Place  string // what the authority is called: the host of its issuer
	Issuer string
	Name   string // of the person who reads it, "" when there is none fit to show

	At      time.Time
	Device  string // such as "Firefox on Linux"; "" when nothing is known
	Network string // such as "203.0.113.0/24"; "" when nothing is known
	App     string // name of the client that is meant, "" for none

	// The other party, of a token that two use: where it was used last.
	OtherDevice  string
	OtherNetwork string

	By     string // who did it, where that is not the reader: an agent, a person who asks for approval
	Reason string // what they said it was for
	Count  string // how often, for what happens in numbers
	ID     string // what an operator looks for: a request, a key, a token
	Former bool   // this address is no longer the account's

	Link      string // the page "this was not me", "" when there is nothing to end
	LinkUntil time.Time
}

// Fact is a line of the list below the text.
type Fact struct{ Label, Value string }

// Facts are the lines that have something to say.
func (l Letter) Facts() []Fact {
	var facts []Fact
	add := func(label, value string) {
		if value != "" {
			facts = append(facts, Fact{label, value})
		}
	}
	add("When", l.When())
	add("Device", l.Device)
	add("Network", l.Network)
	add("Device before", l.OtherDevice)
	add("Network before", l.OtherNetwork)
	add("App", l.App)
	add("By", l.By)
	add("Reason given", l.Reason)
	add("How often", l.Count)
	add("Id", l.ID)
	return facts
}

// When is the time of the event, in words and in UTC: nobody told us where the
// reader is.
func (l Letter) When() string { return inWords(l.At) }

// Until is when the link stops working.
func (l Letter) Until() string { return inWords(l.LinkUntil) }

func inWords(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

// maxWords bounds texts that come from outside, in characters.
const maxWords = 100

// words makes a text that somebody else chose harmless: one line, short, and
// without what mail programs would turn into a link.
func words(s string) string {
	return dots.ReplaceAllString(strings.ReplaceAll(cut(printable(s), maxWords), "/", " "), ". $1")
}

// dots are those of addresses. "J.R.R. Tolkien" can bear to lose a few.
var dots = regexp.MustCompile(`\.(\pL)`)

// where fills in where an event came from.
func (l *Letter) where(c authority.Context) {
	l.Device, l.Network = c.Device(), network(c.Network)
}

// network shows what NetworkOf wrote, and nothing else.
func network(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef.:/", r) }) {
		return ""
	}
	return s
}
