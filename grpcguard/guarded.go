package jetongrpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/jwt"
)

// TrailerReason is the trailer in which a refused call finds why, one of the
// codes of jeton.Reasons.
const TrailerReason = "jeton-reason"

// TrailerChallenge is the trailer in which a refused call finds what would help,
// in the form of WWW-Authenticate: the scopes that are missing, or what the
// method wants of the person's sign-in (oauth.StepUpOf reads that).
const TrailerChallenge = "www-authenticate"

// Config says what a server's methods demand.
type Config struct {
	// Guard checks the tokens. Required.
	Guard *jeton.Guard

	// Demands are made by every method that is not public.
	Demands []jeton.Demand

	// Methods are demands of single methods, in addition to Demands. A key is a
	// full method name such as "/reports.v1.Reports/Delete".
	Methods map[string][]jeton.Demand

	// Public are the full names of methods that need no token. A token that
	// comes all the same is not looked at.
	Public []string
}

// Guarded has the interceptors of one server. It is safe for concurrent use.
type Guarded struct {
	guard   *jeton.Guard
	demands []jeton.Demand
	methods map[string][]jeton.Demand
	public  map[string]bool
}

// New checks the configuration and reports all its problems at once.
func New(c Config) (*Guarded, error) {
	var problems []error
	if c.Guard == nil {
		problems = append(problems, errors.New("jetongrpc: Config.Guard is nil"))
	}
	g := &Guarded{
		guard: c.Guard, demands: slices.Clone(c.Demands),
		methods: make(map[string][]jeton.Demand, len(c.Methods)), public: make(map[string]bool, len(c.Public)),
	}
	named := func(field, method string) {
		if !strings.HasPrefix(method, "/") || strings.Count(method, "/") != 2 {
			problems = append(problems, fmt.Errorf("jetongrpc: Config.%s: %q is no full method name such as /reports.v1.Reports/Get", field, method))
		}
	}
	for method, demands := range c.Methods {
		named("Methods", method)
		g.methods[method] = slices.Concat(c.Demands, demands)
	}
	for _, method := range c.Public {
		named("Public", method)
		if _, both := c.Methods[method]; both {
			problems = append(problems, fmt.Errorf("jetongrpc: Config: %q is public and makes demands", method))
		}
		g.public[method] = true
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return g, nil
}

// Unary is a grpc.UnaryServerInterceptor.
func (g *Guarded) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if g.public[info.FullMethod] {
		return handler(ctx, request)
	}
	c, err := g.admit(ctx, info.FullMethod, false)
	if err != nil {
		// Fails only where there is no call to answer.
		_ = grpc.SetTrailer(ctx, g.trailer(err))
		return nil, refused(err)
	}
	return handler(jeton.WithToken(ctx, c.token), request)
}

// credential is what a call brought, and what its method demands.
type credential struct {
	text    *string // behind a pointer, so that no way of printing reaches it
	demands []jeton.Demand
	token   *jeton.Token
}

func (g *Guarded) admit(ctx context.Context, method string, stream bool) (credential, error) {
	text, err := extract(ctx)
	if err != nil {
		return credential{}, err
	}
	if stream && counted(text) {
		return credential{}, unsupported
	}
	c := credential{text: &text, demands: g.demandsOf(ctx, method)}
	c.token, err = g.guard.Check(ctx, text, c.demands...)
	return c, err
}

// demandsOf is what a method demands, as a request: gRPC sends POST and the full
// method as the path, and central policies go by that. Where the call came from
// is for tokens that are held to their network.
func (g *Guarded) demandsOf(ctx context.Context, method string) []jeton.Demand {
	demands, ok := g.methods[method]
	if !ok {
		demands = g.demands
	}
	request := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: method}}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		request.RemoteAddr = p.Addr.String()
	}
	if values, ok := metadata.FromIncomingContext(ctx); ok {
		request.Header = http.Header{"X-Forwarded-For": values.Get("x-forwarded-for"), "User-Agent": values.Get("user-agent"),
			"Authorization": values.Get("authorization"), "Dpop": values.Get("dpop")}
	}
	return append(slices.Clip(demands), jeton.ForRequest(request))
}

// counted reports whether a token is good for so many uses. A stream would use
// it up with its messages. It is asked before the token is verified, so that a
// refusal burns no use; a token that lies about it is refused all the same.
func counted(text string) bool {
	unverified, err := jwt.Parse(text, 0)
	return err == nil && unverified.Claims.Has("uses")
}

// extract finds the token (RFC 6750 section 2.1, by the names of gRPC).
func extract(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) > 1 {
		return "", malformedRequest
	}
	if len(values) == 0 {
		return "", missingToken
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") {
		return "", missingToken
	}
	if text = strings.TrimLeft(text, " "); text == "" {
		return "", malformedRequest
	}
	return text, nil
}

var (
	missingToken     = refusal(jeton.ReasonMissingToken)
	malformedRequest = refusal(jeton.ReasonMalformedRequest)
	unsupported      = refusal(jeton.ReasonUnsupported)
)

// refusal is what the guard says to such a request over HTTP.
func refusal(code string) error {
	for _, r := range jeton.Reasons() {
		if r.Code == code {
			return &jeton.Refusal{Reason: r.Code, Status: r.Status, Code: r.Error, Description: r.Means}
		}
	}
	return errors.New("jetongrpc: unknown reason")
}

func (g *Guarded) trailer(err error) metadata.MD {
	r, ok := errors.AsType[*jeton.Refusal](err)
	if !ok {
		return nil
	}
	md := metadata.Pairs(TrailerReason, r.Reason)
	if challenge := g.guard.Challenge(err); challenge != "" {
		md.Set(TrailerChallenge, challenge)
	}
	return md
}

// refused translates to gRPC. The message is fixed text: causes stay here.
func refused(err error) error {
	r, ok := errors.AsType[*jeton.Refusal](err)
	if !ok {
		return status.Error(codes.Unavailable, "the token could not be checked")
	}
	code := codes.Unauthenticated
	switch r.Status {
	case http.StatusForbidden:
		code = codes.PermissionDenied
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	}
	return status.Error(code, r.Description)
}
