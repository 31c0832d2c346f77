package authority

import "strings"

// Device says in a few words what sent the request, such as "Firefox on Linux",
// or "" when nothing is known. The words are ours: whoever sent it chose its
// user agent, and must not be able to write into a mail or a page.
func (c Context) Device() string {
	if c.UserAgent == "" {
		return ""
	}
	program, system := first(programs, c.UserAgent), first(systems, c.UserAgent)
	switch {
	case program == "" && system == "":
		return "A program that does not say what it is"
	case program == "":
		return "A program on " + system
	case system == "":
		return program
	}
	return program + " on " + system
}

// named is a word of a user agent and what it means.
type named struct{ mark, name string }

// The order matters: browsers claim to be their competitors.
var (
	programs = []named{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Vivaldi/", "Vivaldi"}, {"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"},
		{"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"Wget/", "Wget"}, {"Go-http-client/", "A Go program"},
		{"python-requests/", "A Python program"}, {"Python-urllib/", "A Python program"}, {"okhttp/", "An Android app"}, {"Java/", "A Java program"},
	}
	systems = []named{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "Mac"}, {"Mac OS X", "Mac"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"Linux", "Linux"},
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
