package jeton

import (
	"net/http"
	"net/url"
	"strings"
)

// usualParameter is where RFC 6750 section 2.3 has tokens in a query.
const usualParameter = "access_token"

// inQueryAnswer is the Cache-Control of an answer to a token in the query: it may be kept by the browser that
// has the URL anyway, and by nobody in between.
const inQueryAnswer = "private"

// Binding says what ties a token in a URL to the rest of that URL, see [Subject].
type Binding struct{ parameter string }

// Subject binds a token in the query to the URL parameter of this name, of the path (see
// [net/http.Request.PathValue]) or else of the query: it must be the token's subject.
func Subject(parameter string) Binding { return Binding{parameter} }

// QueryToken lets the route take the token from the query parameter of this name, where a client cannot set a
// header: a download link, an image, a WebSocket. Elsewhere a token in the query (access_token, RFC 6750 section
// 2.3) is refused with token_in_url, because URLs end up in logs, histories and caches. The URL has to name whose it is: the subject in it must be
// the token's, so that an answer that was kept under the URL is at least that person's own. The answer is
// "Cache-Control: private" unless the handler sets its own, and the token is taken out of the URL before the
// handler, and what it calls, can log or forward it. Write access logs behind the guard, or without queries.
//
// A request with a token in both places is refused. One with the Authorization header alone is as on any route.
func QueryToken(parameter string, of Binding) Demand {
	return Demand{kind: demandQueryToken, names: []string{parameter, of.parameter}}
}

// queryToken is what a route lets in the query.
type queryToken struct {
	parameter, subject string
}

// takeQuery takes the token out of the query, if the route lets it be there. What it returns is the request
// without it.
func (r *rule) takeQuery(req *http.Request) (*http.Request, *Refusal) {
	if r.query.parameter == "" || !hasParameter(req.URL.RawQuery, r.query.parameter) {
		if req.Header["Authorization"] == nil && hasParameter(req.URL.RawQuery, usualParameter) {
			return req, refuse(ReasonTokenInURL)
		}
		return req, nil // beside a header it means nothing
	}
	query, err := url.ParseQuery(req.URL.RawQuery)
	values := query[r.query.parameter]
	if err != nil || len(values) != 1 || values[0] == "" || req.Header["Authorization"] != nil {
		return req, refuse(ReasonMalformedRequest) // RFC 6750 section 2: one way of sending it
	}
	r.presented = values[0]
	r.subject = req.PathValue(r.query.subject)
	if r.subject == "" && len(query[r.query.subject]) == 1 {
		r.subject = query.Get(r.query.subject)
	}
	clean := req.WithContext(req.Context())
	u := *req.URL
	u.RawQuery = without(u.RawQuery, r.query.parameter)
	clean.URL, clean.RequestURI = &u, u.RequestURI()
	// What was parsed before the guard has it too.
	clean.Form = nil
	if req.PostForm == nil && req.MultipartForm == nil {
		return clean, nil
	}
	clean.Form = url.Values{}
	for name, values := range req.Form {
		if name != r.query.parameter {
			clean.Form[name] = values
		}
	}
	return clean, nil
}

// hasParameter reports whether a query has a parameter of this name. It does not allocate for names without
// escapes.
func hasParameter(query, name string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if is(pair, name) {
			return true
		}
	}
	return false
}

// is reports whether a pair of a query is of this name.
func is(pair, name string) bool {
	key, _, _ := strings.Cut(pair, "=")
	if strings.ContainsAny(key, "%+") {
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
	}
	return key == name
}

// without is a query without the parameter of this name, and otherwise as it was.
func without(query, name string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !is(pair, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
