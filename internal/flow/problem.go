package flow

import "net/http"

// Problem is a fault that is shown to the person, because there is nobody it
// could safely be sent to. Title and Text are fixed words of ours.
type Problem struct {
	Status int // HTTP status of the page
	Title  string
	Text   string
	Cause  error // for the operator's log
}

func (p *Problem) Error() string {
	if p.Cause != nil {
		return p.Title + ": " + p.Cause.Error()
	}
	return p.Title
}

func (p *Problem) Unwrap() error { return p.Cause }

func badLink(text string) error {
	return &Problem{Status: http.StatusBadRequest, Title: "This link does not work", Text: text}
}
