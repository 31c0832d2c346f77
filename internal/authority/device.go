package authority

import "strings"

// Device says in a few words what sent the request, such as "Firefox on Linux",
// or "" when nothing is known. The words are ours: whoever sent it chose its
// user agent, and must not be able to write into a mail or a page.
func (c Context) Device() string {
	if c.UserAgent == "" {
		return ""
	}
	name, system := browser(c.UserAgent), first(devices, c.UserAgent)
	if name == "" {
		name = first(programs, c.UserAgent)
	} else {
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	switch {
	case name == "" && system == "":
		return "A program that does not say what it is"
	case name == "":
		return "A program on " + system
	case system == "":
		return name
	}
	return name + " on " + system
}

// named is a part of a user agent and what it means.
type named struct{ mark, name string }

// devices are what a person would call the thing in their hands; platforms are
// coarser, because they are compared.
var (
	devices = []named{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "Mac"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"Linux", "Linux"},
	}
	programs = []named{
		{"curl/", "curl"}, {"Wget/", "Wget"}, {"Go-http-client/", "A Go program"}, {"python-requests/", "A Python program"},
		{"Python-urllib/", "A Python program"}, {"okhttp/", "An Android app"}, {"Java/", "A Java program"},
	}
)

func first(list []named, in string) string {
	for _, n := range list {
		if strings.Contains(in, n.mark) {
			return n.name
		}
	}
	return ""
}
